import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from bitcliff.stats import score_change
from bitcliff.stats.scores import swap_test

Pairs = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def few_collapse(random: np.random.Generator, n: int) -> Pairs:
    """Most scores stay as they are, some of them 1 and some 0; one in twenty falls to nearly 0."""
    before = np.where(random.random(n) < 0.3, random.integers(0, 2, n), random.beta(8, 2, n))
    return before, np.where(random.random(n) < 0.05, before * random.beta(1, 9, n), before)


@pytest.mark.parametrize("n", [20, 100, pytest.param(400, marks=pytest.mark.slow)])
def test_the_interval_of_a_change_covers_it(n: int) -> None:
    random = np.random.default_rng(n)
    mean_before = 0.3 * 0.5 + 0.7 * 0.8
    true = -0.05 * mean_before * 0.9
    found = [score_change(*few_collapse(random, n), 0.1) for _ in range(400)]
    covered = sum(one.low <= true <= one.high for one in found)  # type: ignore[operator]
    # 400 with at least 95 % each: fewer than 366 come in one of ten thousand.
    assert covered >= 366


def test_losers_are_those_that_lose_more() -> None:
    before = np.array([1.0, 1.0, 0.5, 0.9, 0.3])
    after = np.array([1.0, 0.8, 0.29, 0.7, 0.6])
    found = score_change(before, after, 0.2)
    assert (found.losers.k, found.losers.n) == (1, 5)
    assert found.difference == pytest.approx((after - before).mean())
    nothing = score_change(np.empty(0), np.empty(0), 0.2)
    assert (nothing.n, nothing.difference, nothing.p_value) == (0, None, 1.0)


@pytest.mark.parametrize("n", [2, 5, 9, 12])
def test_all_swaps_as_another_library_counts_them(n: int) -> None:
    random = np.random.default_rng(n)
    changes = np.round(random.normal(0.2, 0.4, n), 1)
    theirs = stats.permutation_test(
        (changes,), lambda x, axis: x.mean(axis), permutation_type="samples", vectorized=True,
        n_resamples=2**n + 1,
    )  # fmt: skip
    # That doubles the smaller tail; of swaps, both tails are alike.
    assert swap_test(changes) == pytest.approx(theirs.pvalue)


def test_drawn_swaps_are_near_the_normal_law_and_uniform_under_the_null() -> None:
    random = np.random.default_rng(0)
    changes = random.normal(0.15, 1, 300)
    z = changes.sum() / np.sqrt((changes**2).sum())
    assert swap_test(changes) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=0.25)
    null = [swap_test(random.normal(0, 1, 10)) for _ in range(300)]
    assert stats.kstest(null, "uniform").pvalue > 1e-3
    assert swap_test(np.zeros(40)) == 1.0
