"""A finite-sample interval for the mean of scores that lie in [0, 1]."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_confidence
from bitcliff.types.rate import Mean

# Of what a bet may lose at most: near 1 gains on means near the ends, less guards long tails.
_STAKE = 0.75
_HALVINGS = 40


def bounded_mean(scores: npt.NDArray[np.float64], confidence: float = 0.95) -> Mean:
    """Mean of independent scores in [0, 1], with an interval that covers at every n and any shape.

    Whoever bets on the next score being above or below a mean m cannot grow rich if m is true; all
    m against which neither bet grew by 2 / (1 - confidence) stay. The scores are taken in an order
    drawn once for all, so that the figure follows from them alone.

    Raises:
        InputError: a score is not in [0, 1], or `confidence` is not between 0 and 1.

    Source: I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting,
    JRSS B 86, 2024 (hedged capital, for a fixed n).
    """
    check_confidence(confidence)
    if not ((scores >= 0) & (scores <= 1)).all():
        raise InputError("a mean of scores needs scores from 0 to 1")
    n = len(scores)
    if not n:
        return Mean(n=0, value=None, low=None, high=None)
    x = scores[np.random.default_rng(0).permutation(n)]
    growth = math.log(2 / (1 - confidence))
    bets = _bets(x, growth)
    value = float(scores.mean())
    low = _least(lambda m: _capital(x, bets, m) < growth)
    high = 1 - _least(lambda m: _capital(1 - x, bets, m) < growth)
    return Mean(n=n, value=value, low=min(low, value), high=max(high, value))


def _bets(x: npt.NDArray[np.float64], growth: float) -> npt.NDArray[np.float64]:
    """(n,) from the scores before each alone: the less they spread, the more is staked."""
    n = len(x)
    counts = np.arange(2, n + 2)
    means = (0.5 + np.cumsum(x)) / counts
    spread = (0.25 + np.cumsum((x - means) ** 2)) / counts
    before = np.concatenate([[0.25], spread[:-1]])
    return np.asarray(np.sqrt(2 * growth / (n * before)))


def _capital(x: npt.NDArray[np.float64], bets: npt.NDArray[np.float64], m: float) -> float:
    """Logarithm of what betting on scores above m came to; it falls as m rises."""
    stakes = np.minimum(bets, _STAKE / m) if m > 0 else bets
    return float(np.log1p(stakes * (x - m)).sum())


def _least(stays: Callable[[float], bool]) -> float:
    """The least m in [0, 1] that stays; from there on all do."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if stays(middle) else (middle, high)
    return low
