"""Whether two groups of examples differ in a trait, and by how much.

`scipy.stats` takes a second to load: only what shuffles loads it, and no reader of a record does,
since p-values that were drawn are kept in it. So a stored record is judged at once.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_count

Values = npt.NDArray[np.float64]

_SHUFFLES = 9999
# Values in memory at a time.
_AT_ONCE = 1 << 20
# Up to here the normal approximation of the rank sum is too coarse.
_FEW = 8


def rank_test(first: Values, second: Values) -> float:
    """Two-sided p-value of the Mann-Whitney test: do values of one group tend to be larger?

    Exact for a group of 8 or fewer (where `resamples` says so by 9,999 seeded shuffles, which hold
    its level too), otherwise the normal approximation with corrections for ties and continuity.

    Raises:
        InputError: a group is empty or holds a value that is not finite.
    """
    ranks, m = _ranks(first, second), len(first)
    # Ranks are halves of whole numbers, and so are their sums: what is equal compares as equal.
    middle = (len(ranks) + 1) / 2
    if (ranks == middle).all():
        return 1.0
    if min(m, len(ranks) - m) > _FEW:
        return _approximate(ranks, m)
    if not _are_many(ranks, m):
        return _counted(ranks, m)
    if not _few_with_ties(ranks, m):
        return _exact(ranks, m)
    from scipy import stats

    def distance(drawn: Values, _rest: Values, axis: int) -> Values:
        return np.asarray(np.abs(drawn.sum(axis) - m * middle))

    found = stats.permutation_test(
        (ranks[:m], ranks[m:]),
        distance,
        vectorized=True,
        alternative="greater",
        n_resamples=_SHUFFLES,
        batch=max(1, _AT_ONCE // len(ranks)),
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def resamples(first: Values, second: Values) -> bool:
    """Whether `rank_test` of these groups shuffles, so that its p-value is a draw.

    With another version of a library it may be another, so whoever must state the same one again
    keeps it. The p-value of `class_test` always is such a draw.

    Raises:
        InputError: as `rank_test`.
    """
    ranks, m = _ranks(first, second), len(first)
    return len(np.unique(ranks)) > 1 and _few_with_ties(ranks, m) and _are_many(ranks, m)


def class_test(first: Sequence[int], second: Sequence[int]) -> float:
    """p-value of homogeneity of two groups over classes, by 9,999 seeded shuffles.

    The statistic is Pearson's chi-square; the shuffles hold its level however few the examples.

    Args:
        first, second: how many of each class a group has, in the same order.

    Raises:
        InputError: not equally many classes, a count that is none, or an empty group.
    """
    from scipy import stats

    drawn = stats.MonteCarloMethod(
        n_resamples=_SHUFFLES,
        batch=max(1, _AT_ONCE // len(first)),
        rng=np.random.default_rng(0),
    )
    table = np.stack(_counts(first, second))
    return float(stats.chi2_contingency(table, correction=False, method=drawn).pvalue)


def cramers_v(first: Sequence[int], second: Sequence[int]) -> float:
    """How strongly class and group go together: 0 not at all, 1 entirely."""
    table = np.stack(_counts(first, second))
    if table.shape[1] == 1:
        return 0.0
    n = table.sum()
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / n
    # Of two groups: fewer rows than columns, so chi-square is at most n.
    return min(1.0, math.sqrt(float(((table - expected) ** 2 / expected).sum()) / n))


def ranks_of(values: Values) -> Values:
    """From 1 on, ties sharing theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def _ranks(first: Values, second: Values) -> Values:
    """Of all values together, ties sharing theirs; those of `first` come first."""
    for name, values in (("first", first), ("second", second)):
        if not len(values) or not np.isfinite(values).all():
            raise InputError(f"{name}: must hold finite values, at least one")
    return ranks_of(np.concatenate([first, second]))


def _few_with_ties(ranks: Values, m: int) -> bool:
    return min(m, len(ranks) - m) <= _FEW and len(np.unique(ranks)) < len(ranks)


def _are_many(ranks: Values, m: int) -> bool:
    """Whether the ways to deal the ranks are too many to count them; of one alone they are not."""
    return 1 not in (m, len(ranks) - m) and math.comb(len(ranks), m) > _SHUFFLES


def _approximate(ranks: Values, m: int) -> float:
    """By the normal distribution that the first group's sum comes near to."""
    size, n = len(ranks), len(ranks) - m
    _, ties = np.unique(ranks, return_counts=True)
    tied = float((ties.astype(np.float64) ** 3 - ties).sum()) / (size * (size - 1))
    spread = math.sqrt(m * n / 12 * (size + 1 - tied))
    distance = abs(float(ranks[:m].sum()) - m * (size + 1) / 2)
    return min(1.0, 2 * float(special.ndtr((0.5 - distance) / spread)))


def _exact(ranks: Values, m: int) -> float:
    """Of ranks without ties: how many ways there are for each sum of the smaller group, as the
    coefficients of the Gaussian binomial, in whole numbers."""
    few, many = sorted((m, len(ranks) - m))
    ways = np.zeros(few * many + 1, dtype=object)
    ways[0] = 1
    for i in range(1, few + 1):
        ways[many + i :] -= ways[: -(many + i)].copy()
        for start in range(i):
            ways[start::i] = np.cumsum(ways[start::i])
    above = int(ranks[:m].sum()) - m * (m + 1) // 2
    far = max(above, few * many - above)
    return min(1.0, 2 * int(ways[far:].sum()) / math.comb(len(ranks), few))


def _counted(ranks: Values, m: int) -> float:
    """The share of all ways to deal the ranks that leave the smaller group's sum as far from the
    middle. scipy counts them too, in twenty times the time."""
    few = min(m, len(ranks) - m)
    smaller_first = (ranks if few == m else ranks[::-1]).tolist()
    sums = np.fromiter(map(sum, itertools.combinations(smaller_first, few)), np.float64)
    far = np.abs(sums - few * (len(ranks) + 1) / 2)
    return float((far >= far[0]).mean())


def _counts(
    first: Sequence[int], second: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Both groups' counts, without classes that occur in neither."""
    if len(first) != len(second):
        raise InputError(f"second: must count the same {len(first)} classes, got {len(second)}")
    a = np.array([check_count("first", k) for k in first], dtype=np.int64)
    b = np.array([check_count("second", k) for k in second], dtype=np.int64)
    if not a.sum() or not b.sum():
        raise InputError("first, second: each group must hold an example")
    return a[a + b > 0], b[a + b > 0]
