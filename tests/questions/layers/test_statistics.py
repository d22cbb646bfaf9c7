"""The rule, on answers made up so that it is known what it must name."""

from collections.abc import Callable

import pytest
from scipy import stats

from bitcliff.questions.layers.statistics import (
    Answers,
    inflection_points,
    large_steps,
    smallest_share,
)
from bitcliff.questions.layers.sweep import Cell, curves

Harm = Callable[[int, Cell], bool]


def answers(points: int, n: int, wrong: Harm) -> Answers:
    """Class 1 is right for everyone; `wrong` tells which examples a cell answers with 0."""
    by_cell = {
        cell: [0 if wrong(example, cell) else 1 for example in range(n)]
        for cell in curves(points).distinct
    }
    return Answers(points, [1] * n, by_cell)


def named(points: int, n: int, wrong: Harm) -> list[int]:
    return inflection_points(large_steps(answers(points, n, wrong)))


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
def test_a_slow_slope_has_no_inflection(points: int) -> None:
    assert named(points, 20 * points, lambda example, cell: example % points in cell) == []


def test_nothing_lost_nothing_named() -> None:
    assert named(20, 100, lambda example, cell: False) == []


def test_harm_that_another_layer_mends_is_no_loss() -> None:
    """Point 3 alone breaks everything, but with all quantized nothing is lost."""
    assert named(20, 100, lambda example, cell: 3 in cell and 9 not in cell) == []


def test_a_gain_is_no_inflection() -> None:
    assert named(5, 100, lambda example, cell: 2 not in cell) == []


def test_a_loss_of_two_examples_is_chance() -> None:
    found = answers(20, 360, lambda example, cell: 5 in cell and example < 2)
    assert found.whole.p_value == 0.5
    assert large_steps(found) == []


def test_few_examples_leave_a_large_step_unproven() -> None:
    """Eight of twenty are lost at one of 49 points: large, but not beyond chance in 200 tests."""
    steps = large_steps(answers(49, 20, lambda example, cell: 30 in cell and example < 8))
    assert {step.point for step in steps} == {30}
    assert inflection_points(steps) == []
    assert all(step.change.p_value < 0.05 < step.p_holm for step in steps)
    assert named(49, 20, lambda example, cell: 30 in cell and example < 16) == [30]


def test_the_tests_are_those_of_scipy_and_holm() -> None:
    found = answers(6, 40, lambda example, cell: 2 in cell and example < 30)
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
    assert step.p_holm == pytest.approx(len(pairs) * p, rel=1e-9)
    assert (step.change.n, step.change.lost, step.change.gained) == (40, 30, 0)
    assert step.change.pp == -75.0
    assert step.share == 1.0


def test_numeric_failures_count_neither_way() -> None:
    found = answers(4, 100, lambda example, cell: 1 in cell and example < 50)
    by_cell = {
        cell: [None if example >= 90 and 1 in cell else one for example, one in enumerate(told)]
        for cell, told in found.by_cell.items()
    }
    broken = Answers(4, [None, *[1] * 99], by_cell)
    assert (broken.right(frozenset({1})).k, broken.right(frozenset({1})).n) == (40, 89)
    assert (broken.whole.n, broken.whole.lost) == (89, 49)
    assert inflection_points(large_steps(broken)) == [1]
    silent = Answers(4, [1] * 100, dict.fromkeys(by_cell, [None] * 100))
    assert silent.right(frozenset()).value is None
    assert silent.whole.pp is None
    assert large_steps(silent) == []


@pytest.mark.parametrize(("points", "share"), [(1, 1.0), (2, 0.75), (3, 0.5), (8, 0.2), (99, 0.2)])
def test_what_counts_as_large(points: int, share: float) -> None:
    assert smallest_share(points) == share


def test_a_network_of_one_point() -> None:
    assert named(1, 40, lambda example, cell: 0 in cell) == [0]
