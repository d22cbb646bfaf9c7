"""Scores in [0, 1], measured twice on the same examples: interval, test, and how many lose much."""

import numpy as np
import numpy.typing as npt

from bitcliff.stats.bounded_mean import bounded_mean
from bitcliff.stats.intervals import rate
from bitcliff.types.change import ScoreChange

# Examples that changed, up to which every way of swapping before and after is looked at.
_ALL_SWAPS = 14
_DRAWN = 9_999
# A sum that is as large but for rounding is as large.
_ALIKE = 1e-9

Scores = npt.NDArray[np.float64]


def score_change(before: Scores, after: Scores, losing: float) -> ScoreChange:
    """The change of a mean score over n examples, and how many lose more than `losing`.

    The interval covers at every n and any shape (`bounded_mean`, of changes brought to [0, 1]).

    Raises:
        InputError: a score is not in [0, 1].
    """
    changes = after - before
    mean = bounded_mean((changes + 1) / 2)
    value, low, high = (None if x is None else 2 * x - 1 for x in (mean.value, mean.low, mean.high))
    # A loss of just as much is not more, whatever the last digits of a difference are.
    lost = int((before - after > losing + _ALIKE).sum())
    return ScoreChange(
        n=len(changes),
        difference=value,
        low=low,
        high=high,
        p_value=swap_test(changes),
        losing=losing,
        losers=rate(lost, len(changes)),
    )


def swap_test(changes: Scores) -> float:
    """Two-sided p-value of a paired permutation test of the mean, from (n,) changes.

    Under the null, before and after may be swapped in any example. All swaps are looked at, of many
    examples 9,999 that are drawn once for all. 1.0 where nothing changed.
    """
    sizes = np.abs(changes[changes != 0])
    if not len(sizes):
        return 1.0
    seen = abs(changes.sum()) - _ALIKE
    if len(sizes) <= _ALL_SWAPS:
        ways = np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes)) & 1
        return float((np.abs((1 - 2 * ways) @ sizes) >= seen).mean())
    rng, as_large = np.random.default_rng(0), 0
    for _ in range(_DRAWN):
        swapped = rng.random(len(sizes)) < 0.5
        as_large += abs(sizes.sum() - 2 * sizes[swapped].sum()) >= seen
    return (1 + as_large) / (1 + _DRAWN)
