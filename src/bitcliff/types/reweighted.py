"""The worst that an adversary makes of a mean by giving examples other weights."""

from bitcliff.types.value import Value


class Bounded(Value):
    """A figure with its 95 % limits."""

    value: float
    low: float
    high: float


class Reweighted(Value):
    """The worst mean over two balls of distributions around the one that examples were drawn from.

    Attributes:
        part: P, the size of both: at 1 nothing can be reweighted.
        by_share: no input becomes more than 1 / P times as frequent (CVaR: the mean over the worst
            share P of all inputs).
        by_chi2: the mean of the squared factors is at most 1 / P, that is, chi-square is at most
            1 / P - 1. It holds the ball above.

    Build them with `bitcliff.stats.reweighted`. The limits hold for all sizes together.
    """

    part: float
    by_share: Bounded
    by_chi2: Bounded
