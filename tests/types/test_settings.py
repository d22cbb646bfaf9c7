from typing import Any

import pytest

from bitcliff.errors import InputError
from bitcliff.types.settings import AssessSettings, budgets_within


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bits": (5, 4)}, "--bits must increase.*not 5,4"),
        ({"bits": (4, 4)}, "--bits must increase"),
        ({"bits": ()}, "--bits must increase.*not none"),
        ({"bits": (1, 9)}, "--bits must lie in 2..16, not 1,9"),
        ({"bits": (3, 17)}, "--bits must lie in 2..16"),
        ({"uniform": (8, 7)}, "--uniform must increase"),
        ({"uniform": (1,)}, "--uniform must lie in 2..16"),
        (
            {"budgets": (2.9,)},
            "--budget 2.9 cannot be met with bits 3..10: feasible means are 3 to 10",
        ),
        ({"budgets": (10.1,)}, "feasible means are 3 to 10"),
        ({"budgets": (float("nan"),)}, "--budget nan cannot be met"),
        ({"budgets": (4.0, 4.0)}, "same mean twice"),
        ({"budgets": (4.0000001, 4.0000002)}, "same mean twice"),
        ({"scheme": "pape"}, "--scheme 'pape' is not known: use paper, onnx or percentile"),
        ({"scheme": "percentile(40)"}, "percentile must lie in"),
        ({"weight_bits": 1}, "--weight-bits must lie in 2..16, not 1"),
        ({"weight_bits": 17}, "--weight-bits must lie in 2..16, not 17"),
        ({"margin": "truth"}, "--margin 'truth' is not known: use auto, prediction or label"),
        ({"batch_size": 0}, "--batch-size must be 1 or more, not 0"),
        ({"max_drop": -0.1}, "--max-drop must be 0 or more points, not -0.1"),
        ({"max_drop": float("nan")}, "--max-drop"),
        ({"seed": -1}, "--seed must be 0 or more, not -1"),
        ({"rounds": -1}, "--rounds must be 0 or more, not -1"),
        ({"exchanges": -1}, "--exchanges must be 0 or more, not -1"),
        ({"evaluations": -1}, "--evaluations must be 0 or more, not -1"),
        ({"draws": 0}, "--draws must be 1 or more, not 0"),
        ({"bits": (3.5, 4)}, "--bits must be whole numbers, such as 3:10, not 3.5,4"),
        ({"draws": "many"}, "--draws 'many': Input should be a valid integer"),
        ({"floors": {"a": 2}}, "floors: a must get 2 bits or more, but the widths are 3 to 10"),
        ({"drawz": 1}, "AssessSettings: drawz: Extra inputs are not permitted"),
    ],
)
def test_settings_that_will_not_do_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        AssessSettings(**changes)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=words):
        AssessSettings().changed(**changes)


def test_the_defaults_are_those_of_the_design() -> None:
    settings = AssessSettings()
    assert settings.bits == tuple(range(3, 11))
    assert settings.budgets == (4.0, 5.5, 7.0)
    assert settings.uniform == tuple(range(2, 11))
    assert (settings.scheme, settings.weight_bits, settings.max_drop) == ("onnx", 16, 2.0)
    assert settings.draws >= 20


def test_default_means_give_way_to_the_widths() -> None:
    assert budgets_within(tuple(range(3, 11))) == (4.0, 5.5, 7.0)
    assert budgets_within((3, 4, 5)) == (4.0,)
    assert budgets_within((8, 9)) == (8.5,)
    assert budgets_within((2,)) == (2.0,)
    assert budgets_within((3, 4, 5, 6, 7, 8), (5.0, 7.0, 9.0)) == (5.0, 7.0)
    for bits in ((3, 4, 5), (8, 9), (2,)):
        AssessSettings(bits=bits, budgets=budgets_within(bits))
