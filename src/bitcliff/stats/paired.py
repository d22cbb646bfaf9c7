"""Float against quantized on the same examples: test and interval from the discordant pairs."""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_confidence, check_count
from bitcliff.stats.intervals import clopper_pearson
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
    """Change of a share measured twice on the same n examples, with a conservative interval.

    Whatever the true shares are, each limit is on the wrong side of the change in at most
    (1 - confidence) / 2 of all samples; `design/003` has how that was worked out.

    Args:
        n: examples, at least 1.
        lost: right in float and wrong quantized.
        gained: wrong in float and right quantized.
        confidence: of the two-sided interval.

    Returns:
        (gained - lost) / n, and the interval's low and high, as shares in [-1, 1].

    Raises:
        InputError: a count is malformed, n is 0, or lost + gained exceeds n.

    Source: R. G. Newcombe, Statistics in Medicine 17, 1998, pages 2635-2650, and G. Y. Zou and
    A. Donner, Statistics in Medicine 27, 2008, pages 1693-1702, from exact limits of both shares.
    """
    n, lost, gained = _check_discordant(n, lost, gained)
    check_confidence(confidence)
    tail = (1 - confidence) / 2
    low = 0.0 - _most(n, lost, gained, tail)
    return (gained - lost) / n, low, _most(n, gained, lost, tail)


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


def _most(n: int, more: int, less: int, tail: float) -> float:
    """The upper limit of the share of which `more` were seen minus that of which `less` were.

    Both shares' own limits lie `up` and `down` from what was seen; as standard errors of a
    difference, these add up by their squares and by how strongly the two counts exclude each other.
    """
    most, least = clopper_pearson(more, n, tail)[1], clopper_pearson(less, n, tail)[0]
    up, down = most - more / n, less / n - least
    # With one more than was seen: with the share that was seen, large samples of which nearly all
    # change come out short.
    together = up**2 + down**2 + 2 * up * down * _exclusion(most, (less + 1) / (n + 1))
    return min(1.0, (more - less) / n + math.sqrt(together))


def _exclusion(first: float, second: float) -> float:
    """Minus the correlation of two counts out of the same examples, with these shares."""
    if first + second >= 1:
        return 1.0
    return math.sqrt(first * second / ((1 - first) * (1 - second)))


def _check_discordant(n: object, lost: object, gained: object) -> tuple[int, int, int]:
    n, lost, gained = check_count("n", n), check_count("lost", lost), check_count("gained", gained)
    if n == 0:
        raise InputError("n: must be at least 1, got 0")
    if lost + gained > n:
        raise InputError(f"lost + gained: must be at most n = {n}, got {lost} + {gained}")
    return n, lost, gained
