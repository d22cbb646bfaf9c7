"""What a mean becomes at worst when an adversary gives the examples other weights."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_confidence
from bitcliff.stats.intervals import clopper_pearson
from bitcliff.types.reweighted import Bounded, Reweighted

Values = npt.NDArray[np.float64]

PARTS = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05)
"""Sizes of the balls: an input becomes at most 1 to 20 times as frequent."""


def worst_by_share(values: Values, shares: Values, part: float) -> float:
    """The largest mean over all weights that are at most 1 / part times the shares (CVaR).

    Args:
        shares: (k,) of the values, adding up to 1. part: in (0, 1].

    Source: R. T. Rockafellar and S. Uryasev, Journal of Risk 2, 2000.
    """
    order = np.argsort(-values)
    taken = np.diff(np.minimum(np.cumsum(shares[order]), part), prepend=0.0)
    return float(taken @ values[order] / taken.sum())


def worst_by_chi2(values: Values, shares: Values, part: float) -> float:
    """The largest mean over all weights whose factors have a mean square of at most 1 / part.

    The best factors are a + b v over the largest values and 0 below them. For each number of values
    that have a weight, a and b follow from the two constraints; what is allowed is tried.

    Args:
        shares: (k,) of the values, adding up to 1. part: in (0, 1].

    Source: J. C. Duchi and H. Namkoong, Annals of Statistics 49, 2021 (k = 2).
    """
    known, place = np.unique(-values[shares > 0], return_inverse=True)
    mass = np.cumsum(np.bincount(place, shares[shares > 0]))
    steps = np.diff(mass, prepend=0.0)
    # From the largest value down, which keeps the digits of a variance.
    below = known - known[0]
    mean = np.cumsum(steps * below) / mass
    variance = np.maximum(np.cumsum(steps * below**2) / mass - mean**2, 0.0)
    room = mass / part - 1
    if room[0] >= 0:
        return float(-known[0])
    allowed = room >= -1e-12
    allowed[-1] = True
    size = np.sqrt(np.maximum(room, 0.0) * variance)
    # The factor of the least value among them: 1 - room * (its distance from the mean) / size.
    positive = size >= np.maximum(room, 0.0) * (below - mean) - 1e-12
    return float((size - mean - known[0])[allowed & positive].max())


def reweighted(
    values: Values,
    edges: Sequence[float],
    parts: Sequence[float] = PARTS,
    confidence: float = 0.95,
) -> list[Reweighted]:
    """The worst mean of independent draws, for balls of every size, with limits that hold at once.

    Both figures grow with every value. So they lie between those of two distributions, one that is
    surely smaller and one that is surely larger than the true one: at each edge the share of values
    above it has exact limits (Clopper and Pearson's, each at an equal part of what may go wrong),
    and the values between two edges are moved to one of them.

    Args:
        values: (n,) none outside the edges. edges: increasing, chosen without looking at the
            values; all that these can be, if those are few.

    Returns:
        One for each part; none where there are no values.

    Raises:
        InputError: a value outside the edges, or `confidence` is not between 0 and 1.
    """
    check_confidence(confidence)
    ends, n = np.array(edges, dtype=np.float64), len(values)
    if n and not (ends[0] <= values.min() <= values.max() <= ends[-1]):
        raise InputError(f"a value outside {edges[0]:g} to {edges[-1]:g}")
    if not n:
        return []
    tail = (1 - confidence) / (2 * (len(ends) - 1))
    above = [int((values > end).sum()) for end in ends[:-1]]
    reached = [int((values >= end).sum()) for end in ends[1:]]
    most = _steps([clopper_pearson(k, n, tail)[1] for k in above])
    least = _steps([clopper_pearson(k, n, tail)[0] for k in reached])
    own = np.full(n, 1 / n)

    def bounded(worst: Callable[[Values, Values, float], float], part: float) -> Bounded:
        low, high = worst(ends, least, part), worst(ends, most, part)
        value = worst(values, own, part)
        return Bounded(value=value, low=min(low, value), high=max(high, value))

    return [
        Reweighted(
            part=part,
            by_share=bounded(worst_by_share, part),
            by_chi2=bounded(worst_by_chi2, part),
        )
        for part in parts
    ]


def _steps(reaching: Sequence[float]) -> Values:
    """From the shares that reach each edge but the first, the share at each edge."""
    return -np.diff([1.0, *reaching, 0.0])
