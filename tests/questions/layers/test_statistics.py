"""The rule, on predictions made up so that it is known what it must name."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from bitcliff.questions.layers.cells import Cell, curves
from bitcliff.questions.layers.statistics import (
    CellPredictions,
    inflection_points,
    large_steps,
    smallest_share,
)
from bitcliff.record.arrays import classes

Harm = Callable[[int, Cell], bool]


def predicted(points: int, n: int, wrong: Harm) -> CellPredictions:
    """Class 1 is right for everyone; `wrong` tells for which examples a cell predicts 0."""
    by_cell = {
        cell: classes([0 if wrong(example, cell) else 1 for example in range(n)])
        for cell in curves(points).distinct
    }
    return CellPredictions(points, classes([1] * n), by_cell)


def named(points: int, n: int, wrong: Harm) -> list[int]:
    return inflection_points(large_steps(predicted(points, n, wrong)))


@pytest.mark.parametrize("place", [0, 1, 10, 18, 19])
def test_one_layer_that_breaks_alone(place: int) -> None:
    assert named(20, 100, lambda example, cell: place in cell and example < 80) == [place]


@pytest.mark.parametrize("places", [{0, 19}, {4, 5}, {3, 9, 15}, {1, 6, 12, 18}])
def test_layers_that_each_suffice_are_all_found(places: set[int]) -> None:
    assert named(20, 100, lambda example, cell: bool(places & cell)) == sorted(places)


@pytest.mark.parametrize("places", [{0, 19}, {4, 5}, {3, 9, 15}, {1, 6, 12, 18}])
def test_layers_that_only_break_together_are_all_found(places: set[int]) -> None:
    assert named(20, 100, lambda example, cell: places <= cell) == sorted(places)


def test_layers_that_share_the_loss() -> None:
    """Half of it, a third, and the rest from a tenth of a tenth each."""

    def wrong(example: int, cell: Cell) -> bool:
        if example < 50:
            return 7 in cell
        return 12 in cell if example < 83 else (example - 83) % 20 in cell

    assert named(20, 100, wrong) == [7, 12]


@pytest.mark.parametrize("points", [2, 3, 4, 7, 20, 49])
def test_a_slow_decline_has_no_inflection(points: int) -> None:
    assert named(points, 20 * points, lambda example, cell: example % points in cell) == []


def test_nothing_lost_nothing_named() -> None:
    assert named(20, 100, lambda example, cell: False) == []


def test_harm_that_another_layer_mends_is_no_loss() -> None:
    """Point 3 alone breaks everything, but with all quantized nothing is lost."""
    assert named(20, 100, lambda example, cell: 3 in cell and 9 not in cell) == []


def test_a_gain_is_no_inflection() -> None:
    assert named(5, 100, lambda example, cell: 2 not in cell) == []


def test_a_loss_of_two_examples_is_chance() -> None:
    found = predicted(20, 360, lambda example, cell: 5 in cell and example < 2)
    assert found.whole.p_value == 0.5
    assert large_steps(found) == []


def test_few_examples_leave_a_large_step_unproven() -> None:
    """Eight of twenty are lost at one of 49 points: large, but not beyond chance in 200 tests."""
    steps = large_steps(predicted(49, 20, lambda example, cell: 30 in cell and example < 8))
    assert {step.point for step in steps} == {30}
    assert inflection_points(steps) == []
    assert all(step.change.p_value < 0.05 < (step.change.p_holm or 0) for step in steps)
    assert named(49, 20, lambda example, cell: 30 in cell and example < 16) == [30]


def test_the_tests_are_those_of_scipy_and_holm() -> None:
    found = predicted(6, 40, lambda example, cell: 2 in cell and example < 30)
    step = large_steps(found)[0]
    p = stats.binomtest(0, 30, 0.5).pvalue
    assert step.change.p_value == pytest.approx(p, rel=1e-12)
    # Every step's two cells, each pair once.
    pairs = {
        (first, second)
        for k in range(6)
        for first, second in (
            (frozenset(range(k)), frozenset(range(k + 1))),
            (frozenset(range(k + 1, 6)), frozenset(range(k, 6))),
            (frozenset(), frozenset({k})),
            (frozenset(range(6)) - {k}, frozenset(range(6))),
        )
    }
    # The smallest p-value is multiplied by how many tests there are.
    assert step.change.p_holm == pytest.approx(len(pairs) * p, rel=1e-9)
    assert (step.change.n, step.change.lost, step.change.gained) == (40, 30, 0)
    assert step.change.difference_pp == -75.0
    assert step.share == 1.0


def test_numeric_failures_count_neither_way() -> None:
    found = predicted(4, 100, lambda example, cell: 1 in cell and example < 50)
    everyone = np.arange(100)
    by_cell = {
        cell: np.where((everyone >= 90) & (1 in cell), -1, predictions).astype(np.int32)
        for cell, predictions in found.by_cell.items()
    }
    broken = CellPredictions(4, classes([None, *[1] * 99]), by_cell)
    assert (broken.right(frozenset({1})).k, broken.right(frozenset({1})).n) == (40, 89)
    assert (broken.whole.n, broken.whole.lost) == (89, 49)
    assert inflection_points(large_steps(broken)) == [1]
    silent = CellPredictions(4, found.targets, dict.fromkeys(by_cell, classes([None] * 100)))
    assert silent.right(frozenset()).value is None
    assert silent.whole.difference_pp is None
    assert large_steps(silent) == []


@pytest.mark.parametrize(("points", "share"), [(1, 1.0), (2, 0.75), (3, 0.5), (8, 0.2), (99, 0.2)])
def test_what_counts_as_large(points: int, share: float) -> None:
    assert smallest_share(points) == share


def test_a_network_of_one_point() -> None:
    assert named(1, 40, lambda example, cell: 0 in cell) == [0]
