"""Comparisons of two groups against scikit-learn, scipy and exact enumeration."""

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from bitcliff.errors import InputError
from bitcliff.stats import class_test, cramers_v, rank_test

Values = npt.NDArray[np.float64]


def _groups(seed: int, tied: bool = False) -> tuple[Values, Values]:
    rng = np.random.default_rng(seed)
    a = rng.normal(rng.uniform(0, 2), 1, rng.integers(1, 25))
    b = rng.normal(0, 1, rng.integers(1, 25))
    return (np.round(a), np.round(b)) if tied else (a, b)


@pytest.mark.parametrize("seed", range(20))
def test_rank_test_without_ties_is_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(1, 1, 4), rng.normal(0, 1, 5)
    pooled = stats.rankdata(np.concatenate([a, b]))
    sums = np.array([pooled[list(c)].sum() for c in itertools.combinations(range(9), 4)])
    extreme = abs(sums - 20) >= abs(pooled[:4].sum() - 20)
    assert rank_test(a, b) == pytest.approx(extreme.mean())


@pytest.mark.parametrize("seed", range(10))
def test_rank_test_with_ties_is_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, 4).astype(float), rng.integers(0, 3, 6).astype(float)
    pooled = stats.rankdata(np.concatenate([a, b]))
    sums = np.array([pooled[list(c)].sum() for c in itertools.combinations(range(10), 4)])
    exact = (abs(sums - 22) >= abs(pooled[:4].sum() - 22) - 1e-9).mean()
    # 9,999 shuffles: four standard errors at most.
    assert rank_test(a, b) == pytest.approx(exact, abs=0.02)


def test_constants_do_not_differ() -> None:
    assert rank_test(np.ones(20), np.ones(30)) == 1.0


@pytest.mark.parametrize("seed", range(8))
def test_class_test_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 9, 5), rng.integers(0, 9, 5) + 1
    drawn = stats.MonteCarloMethod(n_resamples=9999, rng=np.random.default_rng(9))
    reference = stats.chi2_contingency([a, b], correction=False, method=drawn)
    assert class_test(a.tolist(), b.tolist()) == pytest.approx(reference.pvalue, abs=0.03)


def test_class_test_of_two_classes_is_fishers() -> None:
    # Equal margins, where chi-square and Fisher's test order the tables alike.
    for k in range(9):
        exact = stats.fisher_exact([[k, 8 - k], [8 - k, k]]).pvalue
        assert class_test([k, 8 - k], [8 - k, k]) == pytest.approx(exact, abs=0.02)


def test_each_its_own_class_says_nothing() -> None:
    assert class_test([1] * 5 + [0] * 15, [0] * 5 + [1] * 15) == 1.0
    assert class_test([3], [4]) == 1.0
    assert cramers_v([3], [4]) == 0.0


def test_cramers_v() -> None:
    assert cramers_v([5, 0], [0, 5]) == pytest.approx(1.0)
    assert cramers_v([5, 5], [5, 5]) == pytest.approx(0.0)
    assert cramers_v([3, 0, 1], [1, 0, 3]) == pytest.approx(0.5)


def _many_classes(rng: np.random.Generator) -> float:
    classes, risk = rng.integers(0, 10, 20), rng.permutation(20) < 7
    counted = [np.bincount(classes[group], minlength=10).tolist() for group in (risk, ~risk)]
    return class_test(*counted)


def _few_with_ties(rng: np.random.Generator) -> float:
    return rank_test(rng.integers(0, 5, 6).astype(float), rng.integers(0, 5, 14).astype(float))


def _many_with_ties(rng: np.random.Generator) -> float:
    return rank_test(rng.integers(0, 5, 10).astype(float), rng.integers(0, 5, 14).astype(float))


@pytest.mark.parametrize("draw", [_many_classes, _few_with_ties, _many_with_ties])
def test_tests_hold_their_level(draw: Callable[[np.random.Generator], float]) -> None:
    rng = np.random.default_rng(3)
    alarms = np.mean([draw(rng) <= 0.05 for _ in range(500)])
    # Three standard errors above 5 %.
    assert alarms < 0.08


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, np.nan]), np.array([np.inf])])
def test_groups_that_are_none_are_refused(bad: Values) -> None:
    with pytest.raises(InputError, match="second: must hold finite values"):
        rank_test(np.ones(2), bad)
    with pytest.raises(InputError, match="first: must hold finite values"):
        rank_test(bad, np.ones(2))


def test_counts_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="the same 2 classes, got 1"):
        class_test([1, 2], [3])
    with pytest.raises(InputError, match="each group must hold an example"):
        class_test([1, 2], [0, 0])
    with pytest.raises(InputError, match="first: must be a whole number"):
        cramers_v([-1, 2], [1, 1])
