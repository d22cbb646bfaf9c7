"""Whether two groups of examples differ in a trait, and by how much."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_count

Values = npt.NDArray[np.float64]

_SHUFFLES = 9999
# Up to here the normal approximation of the rank sum is too coarse; scipy goes by the same.
_FEW = 8


def rank_test(first: Values, second: Values) -> float:
    """Two-sided p-value of the Mann-Whitney test: do values of one group tend to be larger?

    Exact for a group of 8 or fewer (with ties by 9,999 seeded shuffles, which holds its level too),
    otherwise the normal approximation with corrections for ties and continuity.

    Raises:
        InputError: a group is empty or holds a value that is not finite.
    """
    _check(first, second)
    values, counts = np.unique(np.concatenate([first, second]), return_counts=True)
    if len(values) == 1:
        return 1.0
    if counts.max() == 1 or min(len(first), len(second)) > _FEW:
        return float(stats.mannwhitneyu(first, second).pvalue)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    middle = len(first) * (len(first) + len(second) + 1) / 2
    observed = abs(ranks[np.searchsorted(values, first)].sum() - middle)
    return _share_as_extreme(np.abs(_shuffled(counts, len(first)) @ ranks - middle), observed)


def class_test(first: Sequence[int], second: Sequence[int]) -> float:
    """p-value of homogeneity of two groups over classes, by 9,999 seeded shuffles.

    The statistic is Pearson's chi-square; the shuffles hold its level however few the examples.

    Args:
        first, second: how many of each class a group has, in the same order.

    Raises:
        InputError: not equally many classes, a count that is none, or an empty group.
    """
    a, b = _counts(first, second)
    both = a + b
    expected = both * a.sum() / both.sum()

    def distance(drawn: npt.NDArray[np.int64]) -> Values:
        return np.asarray(((drawn - expected) ** 2 / expected).sum(-1), dtype=np.float64)

    return _share_as_extreme(distance(_shuffled(both, int(a.sum()))), float(distance(a)))


def cramers_v(first: Sequence[int], second: Sequence[int]) -> float:
    """How strongly class and group go together: 0 not at all, 1 entirely."""
    table = np.stack(_counts(first, second))
    if table.shape[1] == 1:
        return 0.0
    return min(1.0, float(stats.contingency.association(table, method="cramer")))


def _shuffled(counts: npt.NDArray[np.int64], m: int) -> npt.NDArray[np.int64]:
    """How many of each kind m examples hold, drawn from all without putting back, each time."""
    drawn = np.random.default_rng(0).multivariate_hypergeometric(
        counts, m, size=_SHUFFLES, method="marginals"
    )
    return np.asarray(drawn, dtype=np.int64)


def _share_as_extreme(shuffled: Values, observed: float) -> float:
    # The observed order counts as one of the shuffles: that is what makes the test hold its level.
    return float((1 + np.sum(shuffled >= observed * (1 - 1e-12) - 1e-12)) / (1 + len(shuffled)))


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


def _check(first: Values, second: Values) -> None:
    for name, values in (("first", first), ("second", second)):
        if not len(values) or not np.isfinite(values).all():
            raise InputError(f"{name}: must hold finite values, at least one")
