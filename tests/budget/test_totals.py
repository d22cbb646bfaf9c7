"""Feasible totals against brute force, and the checks of arguments."""

import numpy as np
import pytest

from bitcliff.budget import feasible_totals, total_from_mean
from bitcliff.budget.totals import check_bits, check_whole, describe_totals
from bitcliff.errors import InfeasibleBudget, InputError
from tests.budget.brute_force import random_bits


@pytest.mark.parametrize("seed", range(60))
def test_agrees_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits, length = random_bits(rng), int(rng.integers(1, 7))
    sums = {0}
    for _ in range(length):
        sums = {total + width for total in sums for width in bits}
    assert feasible_totals(length, bits) == sorted(sums)


@pytest.mark.parametrize(
    ("mean", "length", "total"),
    [(5.5, 84, 462), (4, 84, 336), (2.5, 3, 8), (2.5, 5, 12), (3.5, 1, 4)],
)
def test_total_rounds_half_to_even(mean: float, length: int, total: int) -> None:
    assert total_from_mean(mean, length, range(2, 9)) == total


def test_unreachable_mean_says_which_are() -> None:
    with pytest.raises(InfeasibleBudget, match=r"mean 11 .* between 3 and 10 bits"):
        total_from_mean(11, 84, range(3, 11))
    with pytest.raises(InfeasibleBudget, match=r"feasible totals are 4, 8, 12 "):
        total_from_mean(2.5, 2, [2, 6])
    with pytest.raises(InfeasibleBudget, match=r"feasible totals are 8 \(mean 4 bits\)"):
        total_from_mean(5, 2, [4])


@pytest.mark.parametrize("mean", [float("nan"), float("inf")])
def test_mean_must_be_a_number(mean: float) -> None:
    with pytest.raises(InputError, match="mean"):
        total_from_mean(mean, 3, [2, 3])


def test_message_stays_one_short_line() -> None:
    words = describe_totals(feasible_totals(50, [1, 16]), 50)
    assert words.startswith("feasible totals are 50, 65, 80")
    assert "..." in words
    assert words.endswith("800 (means between 1 and 16 bits)")
    assert len(words) < 150


@pytest.mark.parametrize(
    "bits", [[], [3, 2], [0, 1], [2.0, 3.0], [True, 2], ["2", "3"], "23", 4, None]
)
def test_bad_bits_are_named(bits: object) -> None:
    with pytest.raises(InputError, match="bits"):
        check_bits(bits)


def test_good_bits() -> None:
    assert check_bits(range(3, 6)) == (3, 4, 5)
    assert check_bits([2, 2, 3]) == (2, 2, 3)
    assert check_bits(np.array([2, 8])) == (2, 8)


@pytest.mark.parametrize("value", [1.0, True, "1", None, -1])
def test_bad_whole_numbers_are_named(value: object) -> None:
    with pytest.raises(InputError, match="total must be"):
        check_whole("total", value, least=0)


@pytest.mark.parametrize("length", [0, -3])
def test_a_network_has_at_least_one_point(length: int) -> None:
    with pytest.raises(InputError, match="L must be at least 1"):
        feasible_totals(length, [2, 3])
    with pytest.raises(InputError, match="L must be at least 1"):
        total_from_mean(2.0, length, [2, 3])


def test_a_mean_that_the_floors_rule_out() -> None:
    assert total_from_mean(4.0, 3, range(2, 6), [5, 2, 2]) == 12
    with pytest.raises(InfeasibleBudget, match="with their floors: feasible totals are 14 to 15"):
        total_from_mean(4.0, 3, range(2, 6), [5, 5, 4])
