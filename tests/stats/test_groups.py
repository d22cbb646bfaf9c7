"""Comparisons of two groups against scikit-learn, scipy and exact enumeration."""

import itertools
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from bitcliff.errors import InputError
from bitcliff.stats import class_test, cramers_v, rank_test, resamples

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


def _enumerated(a: Values, b: Values) -> float:
    """Share of all ways to deal the values whose rank sum is as far from the middle."""
    pooled = stats.rankdata(np.concatenate([a, b]))
    deals = itertools.combinations(range(len(pooled)), len(a))
    sums = np.array([pooled[list(chosen)].sum() for chosen in deals])
    middle = len(a) * (len(pooled) + 1) / 2
    return float((abs(sums - middle) >= abs(pooled[: len(a)].sum() - middle)).mean())


@pytest.mark.parametrize("m", [1, 2, 4])
@pytest.mark.parametrize("seed", range(5))
def test_rank_test_of_few_with_ties_is_enumeration(m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, m).astype(float), rng.integers(0, 3, 6).astype(float)
    for pair in ((a, b), (b, a)):
        assert not resamples(*pair)
        assert rank_test(*pair) == pytest.approx(_enumerated(*pair))


@pytest.mark.parametrize("seed", range(3))
def test_rank_test_that_resamples_is_enumeration_nearly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 9, 6).astype(float), rng.integers(0, 7, 14).astype(float)
    assert resamples(a, b)
    # 9,999 shuffles: four standard errors at most.
    assert rank_test(a, b) == pytest.approx(_enumerated(a, b), abs=0.02)
    assert rank_test(a, b) == rank_test(a, b)


def test_what_resamples() -> None:
    tied, many = np.array([1.0, 1, 2, 3, 4, 5]), np.arange(20.0)
    assert resamples(tied, many)
    assert resamples(many, tied)
    assert not resamples(many[:6], many + 0.5)  # no ties
    assert not resamples(np.repeat(tied, 2), many)  # more than 8 in both
    assert not resamples(np.ones(6), np.ones(20))  # all the same
    assert not resamples(tied[:3], many[:10])  # 286 ways: each is counted
    assert not resamples(tied[:1], np.arange(20_000.0))  # one alone: each place is counted
    with pytest.raises(InputError, match="second: must hold finite values"):
        resamples(tied, np.array([np.nan]))


def test_constants_do_not_differ() -> None:
    assert rank_test(np.ones(20), np.ones(30)) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_class_test_is_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 3, 3) + 1, rng.integers(0, 3, 3) + 1
    classes = np.repeat(np.arange(3), a + b)
    expected = (a + b) * a.sum() / len(classes)

    def distance(counts: npt.NDArray[np.int64]) -> float:
        return float(((counts - expected) ** 2 / expected).sum())

    deals = itertools.combinations(range(len(classes)), int(a.sum()))
    found = [distance(np.bincount(classes[list(deal)], minlength=3)) for deal in deals]
    exact = np.mean(np.array(found) >= distance(a) - 1e-9)
    # 9,999 tables: four standard errors at most.
    assert class_test(a.tolist(), b.tolist()) == pytest.approx(exact, abs=0.02)


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
    # All 210 ways are counted; that shuffles come near it, a test above sees.
    return rank_test(rng.integers(0, 5, 4).astype(float), rng.integers(0, 5, 6).astype(float))


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


@pytest.mark.parametrize(("m", "n"), [(1, 30), (3, 60), (8, 40), (8, 9), (9, 9), (30, 12)])
def test_without_shuffles_it_is_scipys(m: int, n: int) -> None:
    rng = np.random.default_rng(m * n)
    first, second = rng.normal(0.4, 1, m), rng.normal(0, 1, n)
    expected = stats.mannwhitneyu(first, second).pvalue
    assert rank_test(first, second) == pytest.approx(expected, rel=1e-12)


def test_what_is_worked_out_on_reading_loads_nothing_slow() -> None:
    code = """
import sys
from bitcliff.stats import auroc, cramers_v, rank_test
a, b = [float(i) for i in range(20)], [i + 0.5 for i in range(30)]
rank_test(a, b), rank_test(a[:3], b), auroc(a, b), cramers_v([3, 4], [1, 5])
print([name for name in ("scipy.stats", "scipy.optimize") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
