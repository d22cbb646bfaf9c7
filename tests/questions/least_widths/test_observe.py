"""Worst cases cut from below, against every allocation there is."""

from typing import Any

import numpy as np
import pytest
import torch

from bitcliff.audit.schedule import Schedule
from bitcliff.questions.least_widths.observe import observe_least_widths
from bitcliff.questions.least_widths.record import CutObserved
from tests.audit.searching import all_allocations, brute_force
from tests.questions.least_widths.cut import POINTS, SETTINGS, answered, figures_of, scheduled


def truly_lost(schedule: Schedule, mean: float, options: tuple[int, ...]) -> int:
    """Examples right in float that some allocation of these options breaks."""
    evaluator = schedule.prepared.evaluator
    every = all_allocations(POINTS, options, round(mean * POINTS))
    broken = brute_force(evaluator, every).amin(0) < 0
    targets = torch.tensor([t for t in schedule.prepared.targets if t is not None])
    return int((broken & (schedule.prepared.in_float.predictions == targets)).sum())


@pytest.fixture(scope="module")
def plain() -> Schedule:
    """Without labels; nobody changes it."""
    return scheduled()


@pytest.mark.parametrize("labelled", [False, True])
def test_as_many_are_lost_as_every_allocation_together_loses(
    plain: Schedule, labelled: bool
) -> None:
    schedule = scheduled(labelled=True) if labelled else plain
    found = figures_of(answered(schedule))
    # 8 bits of three layers leave none without 2; of 12 the last is the even one, of 11 it is not.
    assert {at.mean_bits: [cut.least for cut in at.cuts] for at in found.means} == {
        3.67: [2, 3],
        4.0: [2, 3, 4],
    }
    for at in found.means:
        for cut in at.cuts:
            options = tuple(width for width in SETTINGS.bits if width >= cut.least)
            assert cut.lost.k == truly_lost(schedule, at.mean_bits, options), (at, cut)
            assert cut.only_even == (at.mean_bits == cut.least)
    lost = [cut.lost.k for cut in found.means[-1].cuts]
    assert lost[0] > lost[1] > lost[-1]
    assert found.means[-1].cuts[0].lost.n == (12 if labelled else 15)


def test_floors_of_a_plan_are_kept(plain: Schedule) -> None:
    names = [point.name for point in plain.prepared.points.points]
    # 5 and twice 3 are 11: with 4 at least everywhere else, 3.67 bits a layer are too few.
    settings = SETTINGS.changed(budgets=(3.67,), floors={names[0]: 5})
    found = observe_least_widths(scheduled(settings))
    assert found is not None
    assert [cut.least for cut in found.cuts] == [3]
    assert found.cuts[0].freedom_log2 == 0
    assert found.cuts[0].bits.tolist() == [[5, 3, 3]] * len(found.cuts[0].places)


@pytest.mark.parametrize(
    "changes", [{"bits": (2, 5), "budgets": (3.0,)}, {"budgets": (2.0,)}, {"randomised": True}]
)
def test_nothing_is_asked_where_no_option_can_be_taken_away(changes: dict[str, Any]) -> None:
    assert observe_least_widths(scheduled(SETTINGS.changed(**changes))) is None


def test_what_was_kept_is_not_looked_for_again(plain: Schedule) -> None:
    kept: dict[str, CutObserved] = {}
    told = []
    found = observe_least_widths(
        plain,
        lambda name, make: kept.setdefault(name, make()),
        lambda *step: told.append(step),
    )
    assert [*kept] == [
        "worst-3.67, at least 3 bits", "worst-4, at least 3 bits", "worst-4, at least 4 bits",
    ]  # fmt: skip
    assert told == [(name, number, 3) for number, name in enumerate([*kept, "done"])]
    spent = plain.evaluator.spent.cost
    assert observe_least_widths(plain, lambda name, _make: kept[name]) == found
    assert plain.evaluator.spent.cost == spent


def test_only_those_lost_under_narrower_widths_are_searched(plain: Schedule) -> None:
    found = observe_least_widths(plain)
    assert found is not None
    worst = plain.done["worst-4"].outcomes
    first = next(cut for cut in found.cuts if cut.mean_bits == 4.0)
    bits = worst.every_bits()
    assert bits is not None
    lost = worst.prediction != plain.prepared.in_float.predictions.numpy()
    assert first.places.tolist() == np.flatnonzero(lost & (bits.min(1) < 3)).tolist()
    assert 0 < len(first.places) < len(worst)
    assert first.effort.forward_passes >= len(first.places)
