"""Two independent sets against scipy, against every deal by brute force, and by simulation."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from bitcliff.stats import difference_of_changes, fisher_greater, paired_change, rate

Shares = tuple[tuple[float, float], tuple[float, float]]


@pytest.mark.parametrize("table", [*product((0, 1, 4), (4, 9), (0, 2, 11), (11, 40))])
def test_fisher_agrees_with_scipy(table: tuple[int, int, int, int]) -> None:
    k, n, other_k, other_n = table
    known = stats.fisher_exact([[k, n - k], [other_k, other_n - other_k]], alternative="greater")
    assert fisher_greater(*table) == pytest.approx(known.pvalue, rel=1e-9)


def studentised(first: np.ndarray, second: np.ndarray) -> float:
    apart = abs(first.mean() - second.mean())
    error = np.sqrt(first.var() / len(first) + second.var() / len(second))
    return 0.0 if apart < 1e-12 else np.inf if error < 1e-12 else float(apart / error)


@pytest.mark.parametrize("counts", [(3, 0, 1, 2), (0, 2, 3, 0), (4, 0, 0, 0), (1, 1, 2, 3)])
def test_the_test_looks_at_every_deal(counts: tuple[int, int, int, int]) -> None:
    n, m = 6, 7
    lost, gained, other_lost, other_gained = counts
    first = np.repeat([-1, 1, 0], [lost, gained, n - lost - gained])
    second = np.repeat([-1, 1, 0], [other_lost, other_gained, m - other_lost - other_gained])
    every, seen = np.concatenate([first, second]), studentised(first, second)
    large = []
    for chosen in combinations(range(n + m), n):
        mine = np.isin(np.arange(n + m), chosen)
        large.append(studentised(every[mine], every[~mine]) >= seen - 1e-9)
    found = difference_of_changes(
        paired_change(n, lost, gained), paired_change(m, other_lost, other_gained)
    )
    assert found is not None
    assert found.p_value == pytest.approx(np.mean(large), rel=1e-9)
    assert found.difference_pp == pytest.approx(100 * (first.mean() - second.mean()))


def test_a_larger_loss_in_the_second_set_is_positive_and_an_empty_set_tells_nothing() -> None:
    few, many = paired_change(200, 2, 1), paired_change(150, 60, 2)
    found, back = difference_of_changes(few, many), difference_of_changes(many, few)
    assert found is not None and back is not None  # noqa: PT018
    assert 0 < found.low_pp < found.difference_pp < found.high_pp
    assert found.p_value < 1e-6
    assert (back.low_pp, back.high_pp) == pytest.approx((-found.high_pp, -found.low_pp))
    assert difference_of_changes(few, paired_change(0, 0, 0)) is None


def test_many_examples_take_no_time_and_come_near_the_normal() -> None:
    first, second = paired_change(20000, 900, 300), paired_change(30000, 1500, 400)
    found = difference_of_changes(first, second)
    assert found is not None
    variance = sum(
        ((one.lost + one.gained) / one.n - ((one.lost - one.gained) / one.n) ** 2) / one.n
        for one in (first, second)
    )
    normal = 2 * stats.norm.sf(abs(found.difference_pp / 100) / np.sqrt(variance))
    assert found.p_value == pytest.approx(normal, rel=0.02)


def wrong(draws: int, shares: Shares, seed: int) -> tuple[int, int]:
    """Of draws of two sets (80 and 50): how often the interval misses the true difference, and how
    often the test rejects that there is none."""
    rng, missed, rejected = np.random.default_rng(seed), 0, 0
    (lost, gained), (other_lost, other_gained) = shares
    true = 100 * ((other_lost - other_gained) - (lost - gained))
    for _ in range(draws):
        a = rng.multinomial(80, [lost, gained, 1 - lost - gained])
        b = rng.multinomial(50, [other_lost, other_gained, 1 - other_lost - other_gained])
        found = difference_of_changes(
            paired_change(80, int(a[0]), int(a[1])), paired_change(50, int(b[0]), int(b[1]))
        )
        assert found is not None
        missed += not found.low_pp - 1e-9 <= true <= found.high_pp + 1e-9
        rejected += found.p_value < 0.05
    return missed, rejected


SAME = [((0.1, 0.02), (0.1, 0.02)), ((0.02, 0.0), (0.02, 0.0)), ((0.3, 0.3), (0.3, 0.3))]
EQUAL_BUT_OTHER = [((0.05, 0.0), (0.2, 0.15)), ((0.0, 0.0), (0.1, 0.1)), ((0.4, 0.3), (0.1, 0.0))]
DIFFERENT = [((0.02, 0.0), (0.3, 0.02)), ((0.5, 0.1), (0.1, 0.1))]


@pytest.mark.parametrize("shares", SAME[:2])
def test_the_test_keeps_its_level(shares: Shares) -> None:
    missed, rejected = wrong(120, shares, 0)
    assert rate(rejected, 120).low <= 0.05  # type: ignore[operator]
    assert rate(missed, 120).low <= 0.05  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.parametrize("shares", [*SAME, *EQUAL_BUT_OTHER, *DIFFERENT])
def test_interval_and_test_over_many(shares: Shares) -> None:
    missed, rejected = wrong(4000, shares, 1)
    assert rate(missed, 4000).low <= 0.05  # type: ignore[operator]
    if shares in SAME:
        assert rate(rejected, 4000).low <= 0.05  # type: ignore[operator]
    if shares in EQUAL_BUT_OTHER:  # right for many examples alone
        assert rate(rejected, 4000).low <= 0.06  # type: ignore[operator]
