"""Counts against brute force and plain polynomial products; samples against a uniform law."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from bitcliff.budget import (
    count_allocations,
    feasible_totals,
    freedom_log2,
    sample_allocations,
)
from bitcliff.errors import InfeasibleBudget, InputError
from tests.budget.brute_force import all_allocations, observed_and_expected, random_bits


def counts_by_products(length: int, bits: Sequence[int]) -> dict[int, int]:
    """Every total's count, one point after the other, in Python integers."""
    counts = {0: 1}
    for _ in range(length):
        longer: dict[int, int] = {}
        for total, ways in counts.items():
            for width in bits:
                longer[total + width] = longer.get(total + width, 0) + ways
        counts = longer
    return counts


@pytest.mark.parametrize("seed", range(25))
def test_count_agrees_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits, length = random_bits(rng), int(rng.integers(1, 5))
    for total in range(length * bits[-1] + 3):
        assert count_allocations(length, bits, total) == len(all_allocations(length, bits, total))


@pytest.mark.parametrize(("length", "bits"), [(84, range(3, 11)), (49, [2, 3, 5, 16])])
def test_count_agrees_with_products(length: int, bits: Sequence[int]) -> None:
    expected = counts_by_products(length, bits)
    assert feasible_totals(length, bits) == sorted(expected)
    for total in range(length * bits[0] - 1, length * bits[-1] + 2):
        assert count_allocations(length, bits, total) == expected.get(total, 0)


def test_count_published() -> None:
    # Ten dice that show 35: 4,395,456 of 6^10 (OEIS A018901, the central hexanomial coefficients).
    assert count_allocations(10, range(1, 7), 35) == 4395456


def test_counts_of_500_points_add_up() -> None:
    totals = feasible_totals(500, [2, 3, 4])
    assert sum(count_allocations(500, [2, 3, 4], total) for total in totals) == 3**500


def test_freedom() -> None:
    assert freedom_log2(10, [2, 3], 25) == pytest.approx(math.log2(math.comb(10, 5)))
    assert freedom_log2(84, range(3, 11), 252) == 0.0
    assert 230 < freedom_log2(84, range(3, 11), 546) < 252
    with pytest.raises(InfeasibleBudget, match="6 to 9"):
        freedom_log2(3, [2, 3], 10)


@pytest.mark.parametrize(
    ("length", "bits", "total"),
    [(4, [2, 3, 4], 12), (3, [3, 4, 5, 6, 7], 14), (5, [2, 5, 6], 19), (3, [2, 4], 6), (2, [4], 8)],
)
def test_samples_are_uniform(length: int, bits: Sequence[int], total: int) -> None:
    allocations = all_allocations(length, bits, total)
    n = 400 * len(allocations)
    samples = sample_allocations(n, length, bits, total, np.random.default_rng(7)).numpy()
    shares = np.full(len(allocations), 1 / len(allocations))
    observed, expected = observed_and_expected(samples, allocations, shares)
    if len(allocations) > 1:
        assert 0.001 < stats.chisquare(observed, expected).pvalue < 0.9999


@pytest.mark.parametrize("length", [84, 350])  # 8 ** 350 is more than a float64 holds
def test_samples_of_many_points(length: int) -> None:
    bits, total = range(3, 11), 6 * length
    samples = sample_allocations(200, length, bits, total, np.random.default_rng(3))
    assert samples.shape == (200, length)
    assert ((samples + 3).sum(dim=1) == total).all()
    # Each point takes option o with probability N(L - 1, C - b) / N(L, C).
    whole = count_allocations(length, bits, total)
    chances = [count_allocations(length - 1, bits, total - width) / whole for width in bits]
    observed = np.bincount(samples.numpy().ravel(), minlength=8)
    expected = np.array(chances) * samples.numel()
    # Points of one sample are nearly independent at this length, so chi-square is a fair gauge.
    assert stats.chisquare(observed, expected / expected.sum() * observed.sum()).pvalue > 0.001


def test_samples_are_those_of_the_seed() -> None:
    first = sample_allocations(5, 20, [2, 3, 8], 80, np.random.default_rng(1))
    longer = sample_allocations(9, 20, [2, 3, 8], 80, np.random.default_rng(1))
    other = sample_allocations(5, 20, [2, 3, 8], 80, np.random.default_rng(2))
    assert first.equal(longer[:5])
    assert not first.equal(other)


def test_bad_arguments_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InfeasibleBudget, match="feasible totals are 4, 9, 14 "):
        sample_allocations(1, 2, [2, 7], 5, rng)
    with pytest.raises(InputError, match="n must be at least 1"):
        sample_allocations(0, 2, [2, 7], 9, rng)
    with pytest.raises(InputError, match="L must be at least 1"):
        count_allocations(0, [2, 7], 0)
    with pytest.raises(InputError, match="ascending"):
        freedom_log2(2, [7, 2], 9)


def some_floors(rng: np.random.Generator, length: int, bits: Sequence[int]) -> list[int]:
    """At most the largest width; some below the smallest, some between two widths."""
    return [int(rng.integers(0, bits[-1] + 1)) for _ in range(length)]


def allocations_above(
    floors: Sequence[int], length: int, bits: Sequence[int], total: int
) -> npt.NDArray[np.int64]:
    """Every allocation that keeps the floors, one by one."""
    every = all_allocations(length, bits, total)
    return every[(np.array(bits)[every] >= np.array(floors)).all(1)]


@pytest.mark.parametrize("seed", range(25))
def test_count_with_floors_agrees_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits, length = random_bits(rng), int(rng.integers(1, 5))
    floors = some_floors(rng, length, bits)
    for total in range(length * bits[-1] + 3):
        expected = len(allocations_above(floors, length, bits, total))
        assert count_allocations(length, bits, total, floors) == expected
        if expected:
            freedom = freedom_log2(length, bits, total, floors)
            assert freedom == pytest.approx(math.log2(expected))
        else:
            with pytest.raises(InfeasibleBudget):
                freedom_log2(length, bits, total, floors)


def test_samples_keep_floors_and_are_uniform() -> None:
    bits, floors, total = [2, 3, 5, 8], [2, 4, 0, 5], 20
    allocations = allocations_above(floors, 4, bits, total)
    assert 5 < len(allocations) < len(all_allocations(4, bits, total))
    rng = np.random.default_rng(3)
    samples = sample_allocations(4000, 4, bits, total, rng, floors).numpy()
    shares = np.full(len(allocations), 1 / len(allocations))
    observed, expected = observed_and_expected(samples, allocations, shares)
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_floors_that_forbid_nothing_change_no_draw() -> None:
    def draw(floors: list[int] | None) -> list[list[int]]:
        return sample_allocations(5, 3, [2, 3, 4], 9, np.random.default_rng(1), floors).tolist()

    assert draw([0, 2, 1]) == draw(None)


def test_floors_that_cannot_be() -> None:
    with pytest.raises(InfeasibleBudget, match=r"with their floors: feasible totals are 11 to 15"):
        sample_allocations(1, 3, range(2, 6), 9, np.random.default_rng(0), [5, 4, 2])
    with pytest.raises(InfeasibleBudget, match="point 1 must get 6 bits or more"):
        count_allocations(2, [2, 5], 7, [2, 6])
    with pytest.raises(InputError, match="one for each of 3 points, got 2"):
        count_allocations(3, [2, 5], 9, [2, 5])
