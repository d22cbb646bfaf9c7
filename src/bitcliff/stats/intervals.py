"""Exact intervals for one share, k of n."""

from scipy import special

from bitcliff.stats.arguments import check_confidence, check_share
from bitcliff.types.rate import Rate


def rate(k: int, n: int, confidence: float = 0.95) -> Rate:
    """k of n with its exact two-sided Clopper-Pearson interval, as shares in [0, 1].

    Value and limits are None when n is 0.

    Raises:
        InputError: not 0 <= k <= n, or `confidence` is not between 0 and 1.

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26, 1934.
    """
    k, n = check_share(k, n)
    check_confidence(confidence)
    if n == 0:
        return Rate(k=k, n=n, value=None, low=None, high=None)
    low, high = clopper_pearson(k, n, (1 - confidence) / 2)
    return Rate(k=k, n=n, value=k / n, low=low, high=high)


def clopper_pearson(k: int, n: int, tail: float) -> tuple[float, float]:
    """Limits of a share of which k of n were seen, n at least 1; each errs in at most `tail`."""
    # As quantiles of beta distributions: a record has thousands of these, and works them out anew
    # whenever it is read.
    low = float(special.betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(special.betainccinv(k + 1, n - k, tail)) if k < n else 1.0
    return low, high


def upper_bound(k: int, n: int, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a share of which k of n were seen (Clopper-Pearson).

    For k = 0 this is 1 - (1 - confidence)^(1/n), about 3/n at 95 %. It is 1.0 when k = n, and when
    n = 0: nothing seen rules nothing out.

    Raises:
        InputError: not 0 <= k <= n, or `confidence` is not between 0 and 1.
    """
    k, n = check_share(k, n)
    check_confidence(confidence)
    return 1.0 if k == n else float(special.betaincinv(k + 1, n - k, confidence))
