"""What the runtime predicts against the record, counted by hand, and what is refused."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitcliff.questions.verification import statistics
from bitcliff.questions.verification.record import KEY, VerificationObserved
from bitcliff.questions.verification.statistics import KIND, figures, problems
from bitcliff.stats import rate
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.questions.verification.verified import BITS, WORST, bare_record, observed, verified


def test_decisions_right_ones_and_margins_are_compared_with_the_record() -> None:
    found = figures(bare_record(), observed())
    (one,) = found.policies
    assert (found.agrees, found.alike, found.decided, found.deepest) == (False, 5, 6, WORST.name)
    assert (one.right_in_runtime.k, one.right_simulated.k, one.right_simulated.n) == (3, 2, 6)
    # Of picture 3; the one that has no margin in the runtime is left out.
    assert one.largest_difference == 1.5
    assert (one.values, one.equal, one.same_level) == (19, 16, 17)
    assert (one.first_difference, found.rounded_alike, found.values) == ("second", 19, 19)
    assert found.times_as_long == 0.5
    (example,) = one.differing
    assert (example.id, example.ours, example.runtime) == ("picture 3", 1, 0)
    assert example.nudged == rate(3, 4)


def test_nothing_decided_is_no_agreement() -> None:
    nothing = observed().model_copy(update={"policies": []})
    found = figures(bare_record(), nothing)
    assert (found.agrees, found.alike, found.decided) == (False, 0, 0)
    alike = bare_record().outcomes[WORST.name].prediction
    assert figures(bare_record(), observed(prediction=alike, differing=[])).agrees


def test_without_labels_right_is_as_in_float() -> None:
    (one,) = figures(bare_record(labelled=False), observed()).policies
    assert (one.right_in_runtime.k, one.right_simulated.k, one.right_simulated.n) == (4, 3, 6)


def test_allocations_are_those_of_the_file_itself() -> None:
    other = BITS.copy()
    other[0] = [4, 6]
    for bits, alike in ((BITS, 6), (other, 5)):
        (one,) = figures(bare_record(), observed(bits=bits)).policies
        assert one.allocations is not None
        assert (one.allocations.k, one.allocations.n) == (alike, 6)
    (one,) = figures(bare_record(), observed(bits=None)).policies
    assert one.allocations is None


def test_a_numeric_failure_in_the_runtime_is_another_decision() -> None:
    theirs = np.array([0, 0, 1, -1, 1, 2], dtype=np.int32)
    (one,) = figures(bare_record(), observed(prediction=theirs)).policies
    assert one.decisions.k == 5
    assert one.differing[0].runtime is None
    assert (one.right_in_runtime.k, one.right_in_runtime.n) == (2, 6)


def test_all_alike_agrees() -> None:
    record = bare_record()
    same = observed(prediction=record.outcomes[WORST.name].prediction, differing=[])
    assert not list(problems(record, same))
    assert figures(record, same).agrees


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"policy": "worst-99"}, "'worst-99' is no policy with bits"),
        ({"points": []}, "is of other points"),
        ({"differing": []}, "lists other examples than those that differ"),
        ({"prediction": np.zeros(1, dtype=np.int32)}, "has 1 predictions for 6 examples"),
        ({"bits": BITS[:1]}, "allocates bits of shape (1, 2)"),
        ({"compared": 7}, "compares 7 examples"),
    ],
)
def test_a_contradiction_is_told(changes: dict[str, Any], says: str) -> None:
    assert not list(problems(bare_record(), observed()))
    assert says in next(problems(bare_record(), observed(**changes)))


def test_it_is_read_as_it_was_written_and_no_figure_can_be_changed(tmp_path: Path) -> None:
    record = verified()
    check_round_trip(record, {KEY: KIND}, tmp_path)
    check_figures_are_guarded(record, KEY, {KEY: KIND}, tmp_path)


def test_damage_to_what_was_observed_is_refused_or_changes_no_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The same few intervals again and again.
    monkeypatch.setattr(statistics, "rate", functools.cache(rate))
    check_observations_are_guarded(verified(), KEY, KIND)


def of_1x(**changes: Any) -> dict[str, Any]:
    """The same as `observed`, as 1.2 wrote it, but for the figures that nothing is read from."""
    now = observed().model_dump()
    (one,) = now["policies"]
    (example,) = one["differing"]
    was = {key: example[key] for key in ("id", "ours", "margin", "first_point")}
    policy = {
        **{key: one[key] for key in ("policy", "compared", "rows", "float64_rows", "points")},
        "decisions": rate(5, 6).model_dump(),
        "allocations": None,
        "largest_difference": 1.5,
        "differing": [{**was, "runtime": 0, "nudged": rate(3, 4).model_dump()}],
    }
    return {**now, "policies": [policy | changes]}


def test_of_schema_1_x_predictions_are_rebuilt_and_margins_are_not_known() -> None:
    record = bare_record()
    found = VerificationObserved.model_validate(KIND.older(record, of_1x()))
    assert not list(problems(record, found))
    now, then = figures(record, observed(bits=None)), figures(record, found)
    (policy,) = now.policies
    unknown = policy.model_copy(update={"largest_difference": None})
    assert then == now.model_copy(update={"policies": [unknown]})


def test_of_schema_1_x_bits_inside_the_file_are_the_records_or_the_answer_is_left_out() -> None:
    record = bare_record()
    same = of_1x(allocations=rate(6, 6).model_dump())
    found = VerificationObserved.model_validate(KIND.older(record, same))
    assert figures(record, found).policies[0].allocations == rate(6, 6)
    assert KIND.older(record, of_1x(allocations=rate(5, 6).model_dump())) is None
