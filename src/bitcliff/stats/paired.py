"""Float against quantized on the same examples: test and interval from the discordant pairs."""

import math

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_confidence, check_count
from bitcliff.types.change import PairedChange


def mcnemar(b: int, c: int) -> float:
    """Exact two-sided p-value of McNemar's test, from the two counts of discordant pairs.

    Under the null, b of b + c is binomial with share 1/2. 1.0 where there is no discordant pair.

    Raises:
        InputError: a count is negative or not whole.
    """
    b, c = check_count("b", b), check_count("c", c)
    return min(1.0, 2 * float(special.bdtr(min(b, c), b + c, 0.5)))


def paired_difference(
    n: int, lost: int, gained: int, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Change of a share measured twice on the same n examples, with Tango's score interval.

    Args:
        n: examples, at least 1.
        lost: right in float and wrong quantized.
        gained: wrong in float and right quantized.
        confidence: of the two-sided interval.

    Returns:
        (gained - lost) / n, and the interval's low and high, as shares in [-1, 1].

    Raises:
        InputError: a count is malformed, n is 0, or lost + gained exceeds n.

    Source: T. Tango, Statistics in Medicine 17, 1998, pages 891-908.
    """
    n, lost, gained = _check_discordant(n, lost, gained)
    check_confidence(confidence)
    z = float(stats.norm.ppf((1 + confidence) / 2))
    value = (gained - lost) / n
    low = _lower_limit(n, lost, gained, z)
    high = 0.0 - _lower_limit(n, gained, lost, z)
    return value, low, high


def paired_change(n: int, lost: int, gained: int, confidence: float = 0.95) -> PairedChange:
    """The change with its interval and exact McNemar test; nothing to state where n is 0.

    Raises:
        InputError: as `paired_difference`, but n may be 0.
    """
    shares = paired_difference(n, lost, gained, confidence) if n else (None, None, None)
    value, low, high = (None if share is None else 100 * share for share in shares)
    return PairedChange(
        n=n,
        lost=lost,
        gained=gained,
        difference_pp=value,
        low_pp=low,
        high_pp=high,
        p_value=mcnemar(lost, gained),
    )


def change_between(
    before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_], confidence: float = 0.95
) -> PairedChange:
    """The change from one to another, of (n,) right or wrong on the same examples.

    Raises:
        InputError: as `paired_change`.
    """
    lost, gained = int((before & ~after).sum()), int((~before & after).sum())
    return paired_change(len(before), lost, gained, confidence)


def _lower_limit(n: int, lost: int, gained: int, z: float) -> float:
    """The smallest difference that the score test does not reject (mirrored, the largest)."""
    if lost == n:
        return -1.0
    # In these two cases the score is 0 / 0 at the observed change, where a root finder would stop;
    # away from it, the root is known in closed form.
    if lost == gained == 0:
        return -(z**2) / (n + z**2)
    if gained == n:
        return (n - z**2) / (n + z**2)
    value = (gained - lost) / n
    return float(optimize.brentq(_excess, -1.0, value, args=(n, lost, gained, z), xtol=1e-14))


def _excess(difference: float, n: int, lost: int, gained: int, z: float) -> float:
    """By how much the observed change lies above `difference`, less z standard errors under it."""
    spread = 2 * _lost_share(difference, n, lost, gained) + difference * (1 - difference)
    return gained - lost - n * difference - z * math.sqrt(max(0.0, n * spread))


def _lost_share(difference: float, n: int, lost: int, gained: int) -> float:
    """Most likely share of lost examples if the true difference were `difference`."""
    a = 2 * n
    b = (2 * n - gained + lost) * difference - lost - gained
    c = -lost * difference * (1 - difference)
    return (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)


def _check_discordant(n: object, lost: object, gained: object) -> tuple[int, int, int]:
    n, lost, gained = check_count("n", n), check_count("lost", lost), check_count("gained", gained)
    if n == 0:
        raise InputError("n: must be at least 1, got 0")
    if lost + gained > n:
        raise InputError(f"lost + gained: must be at most n = {n}, got {lost} + {gained}")
    return n, lost, gained
