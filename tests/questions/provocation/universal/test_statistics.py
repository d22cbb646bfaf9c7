"""Figures by hand, and how often chance accuses."""

from math import comb

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bitcliff.questions.provocation.record import CONTROL, GRADIENTS
from bitcliff.questions.provocation.universal.record import UniversalObserved
from bitcliff.questions.provocation.universal.statistics import (
    accused,
    figures,
    held_out,
    problems,
)
from tests.questions.provocation.universal.scanned import BACKDOOR, EVERY, observed, with_remedy


def targets(seen: UniversalObserved) -> list[int]:
    return [one.target for _, one in accused(figures(seen))]


def test_only_examples_of_other_classes_count() -> None:
    seen = observed(BACKDOOR)
    assert not [*problems(seen)]
    # The examples held out are those at odd places, of the classes 1 and 3 alone.
    assert {parent.wanted for parent in held_out(seen)} == {1, 3}
    one = figures(seen).scans[0].classes
    by_class = [(row.turned[GRADIENTS].k, row.turned[GRADIENTS].n) for row in one]
    assert by_class == [(0, 40), (0, 20), (40, 40), (1, 20)]
    # Eight triggers accuse or do not: each limit errs in 0.05 / 16.
    low, high = scipy_stats.beta.ppf([0.05 / 16, 1 - 0.05 / 16], [40, 1], [1, 40])
    assert one[2].low == pytest.approx(low)
    assert one[0].high == pytest.approx(high)
    assert targets(seen) == [2]
    assert figures(seen).control.k == 41


def test_what_turns_every_class_accuses_none() -> None:
    assert targets(observed([EVERY] * 4)) == []
    assert targets(observed([EVERY, EVERY, EVERY, []])) == []
    assert targets(observed([EVERY, [], EVERY, []])) == [0, 2]


def test_float_must_decide_as_before() -> None:
    seen = observed(BACKDOOR)
    for scan in seen.scans[0].classes:
        for name, one in scan.found.items():
            scan.found[name] = one.model_copy(update={"leads": np.full(40, 0.4)})
    assert targets(seen) == []
    assert figures(seen).provoked.k == 0


def test_by_chance_fewer_are_accused_than_is_said() -> None:
    # Triggers that turn exactly a half of what they are used on: no accusation is true. The share
    # of runs with one is that of the lower limit above a half, by counts of 40.
    threshold = next(k for k in range(41) if scipy_stats.beta.ppf(0.05 / 16, k, 41 - k) > 0.5)
    above = sum(comb(40, k) for k in range(threshold, 41)) / 2**40
    assert 8 * above <= 0.05
    assert targets(observed([[], [], EVERY[:threshold], []])) == [2]
    assert targets(observed([[], [], EVERY[: threshold - 1], []])) == []


def test_a_remedy_is_measured_by_both_triggers_and_on_clean_examples() -> None:
    seen = with_remedy()
    assert not [*problems(seen)]
    nothing, remedy = figures(seen).remedies
    assert (nothing.name, nothing.accused, nothing.before.k) == ("", [2], 40)
    assert nothing.right.k == 40
    assert (remedy.right.k, remedy.right.n) == (20, 40)
    assert remedy.change is not None
    assert (remedy.change.lost, remedy.change.gained) == (20, 0)
    assert remedy.again is not None
    assert (remedy.before.k, remedy.again.k, remedy.accused) == (10, 4, [])


def test_what_does_not_fit_is_a_problem() -> None:
    seen = observed(BACKDOOR)
    scan = seen.scans[0]
    short = scan.classes[0].model_copy(
        update={"found": {k: v for k, v in scan.classes[0].found.items() if k != CONTROL}}
    )
    cut = scan.model_copy(update={"classes": [short, *scan.classes[1:]]})
    alone = scan.model_copy(update={"classes": scan.classes[:1]})
    for changed, says in (
        ({"scans": [cut]}, "class 0 has the searches"),
        ({"scans": [alone]}, "there are no two classes"),
        ({"half": seen.half[:5]}, "half is not 40 places"),
        ({"settings": seen.settings.changed(effort=8)}, None),
        ({"settings": seen.settings.changed(effort=9, target=(0, 1))}, "were asked for"),
        ({"settings": seen.settings.changed(universal=False)}, "no trigger for all"),
    ):
        told = [*problems(seen.model_copy(update=changed))]
        assert (says is None and not told) or any(str(says) in one for one in told), told
