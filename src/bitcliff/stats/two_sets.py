"""Two independent sets of examples: does one lose more than the other?"""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from bitcliff.stats.arguments import check_share
from bitcliff.types.change import ChangeDifference, PairedChange

# A statistic that is as large but for rounding is as large.
_ALIKE = 1e-9
# Logarithm of a chance that a p-value need not count, however many there are of it.
_NEGLIGIBLE = -45.0


def fisher_greater(k: int, n: int, other_k: int, other_n: int) -> float:
    """One-sided p-value of Fisher's exact test: is the first share, k of n, the larger one?

    Raises:
        InputError: not 0 <= k <= n.
    """
    k, n = check_share(k, n)
    other_k, other_n = check_share(other_k, other_n)
    whole = k + other_k
    x = np.arange(k, min(n, whole) + 1)
    logs = _choose(n, x) + _choose(other_n, whole - x) - _choose(n + other_n, np.array([whole]))
    return min(1.0, float(np.exp(logs).sum()))


def difference_of_changes(first: PairedChange, second: PairedChange) -> ChangeDifference | None:
    """How much more is lost in the second set than in the first; None where one is empty.

    The interval joins those of both changes by squares (MOVER). The test deals the examples to the
    two sets anew, in every way there is, and looks at the difference over its standard error: exact
    where losses and gains are as frequent in both, and right for many examples where only their
    difference is the same.

    Source: G. Y. Zou and A. Donner, Statistics in Medicine 27, 2008; E. Chung and J. P. Romano,
    Annals of Statistics 41, 2013.
    """
    if not first.n or not second.n:
        return None
    (a, a_low, a_high), (b, b_low, b_high) = _ends(first), _ends(second)
    return ChangeDifference(
        difference_pp=a - b,
        low_pp=a - b - math.hypot(a - a_low, b_high - b),
        high_pp=a - b + math.hypot(a_high - a, b - b_low),
        p_value=_dealt_anew(first, second),
    )


def _ends(change: PairedChange) -> tuple[float, float, float]:
    ends = (change.difference_pp, change.low_pp, change.high_pp)
    value, low, high = (0.0 if end is None else end for end in ends)  # None of an empty set alone
    return value, low, high


def _dealt_anew(first: PairedChange, second: PairedChange) -> float:
    """Two-sided, over every (lost, gained) that the first set may get."""
    n, m = first.n, second.n
    lost, gained = first.lost + second.lost, first.gained + second.gained
    same, whole = n + m - lost - gained, _choose(n + m, np.array([n]))[0]
    y = np.arange(gained + 1)
    seen = _statistic(np.array([first.lost]), np.array([first.gained]), n, m, lost, gained)[0]
    every = np.arange(max(0, n - gained - same), min(lost, n) + 1)
    chances = _choose(lost, every) + _choose(gained + same, n - every) - whole
    total = 0.0
    for x in every[chances > _NEGLIGIBLE].tolist():
        fits = (y <= n - x) & (n - x - y <= same)
        of = y[fits]
        logs = _choose(lost, np.array([x]))[0] + _choose(gained, of) + _choose(same, n - x - of)
        large = _statistic(np.full(len(of), x), of, n, m, lost, gained) >= seen - _ALIKE
        total += float(np.exp(logs[large] - whole).sum())
    return min(1.0, total)


def _statistic(
    x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], n: int, m: int, lost: int, gained: int
) -> npt.NDArray[np.float64]:
    """Size of the difference of means over its standard error, where the first set lost x and
    gained y; infinite where nothing varies within the sets."""
    apart = (y - x) / n - (gained - y - lost + x) / m
    variance = np.zeros(len(x))
    for some, other, size in ((x, y, n), (lost - x, gained - y, m)):
        mean = (other - some) / size
        variance = variance + ((some + other) / size - mean**2) / size
    error = np.sqrt(np.maximum(variance, 0.0))
    found = np.full(len(x), np.inf)
    np.divide(np.abs(apart), error, out=found, where=error > 1e-15)
    return np.where(np.abs(apart) < 1e-15, 0.0, found)


def _choose(n: int, k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Logarithms of how many ways there are to choose k of n."""
    return np.asarray(
        special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
    )
