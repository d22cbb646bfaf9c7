"""What rounding does to the values at each point: what was observed, and the figures."""

from typing import Annotated, Literal

from pydantic import Field

from bitcliff.record.arrays import Floats2
from bitcliff.record.part import Part, Share
from bitcliff.types.rate import Count, Rate

Cause = Literal[
    "unharmed",
    "signal already lost upstream",
    "error amplified on the way here",
    "offset range",
    "rows far larger than the rest, for example padding",
    "channels of unequal scale",
    "outlier",
    "long tail collapses to zero",
    "too few bits for the spread",
    "little is lost here, but decisions hang on it",
]
Decibels = Annotated[float, Field(ge=-150, le=150)]


class Numbers(Part):
    """Measured on each example by itself, then pooled; None where no example has the number.

    Attributes:
        bits: spent here.
        local_db: signal over the noise of rounding here alone, of float values, dB:
            10 log10(sum x^2 / sum (Q(x) - x)^2), within +-150.
        arriving_db: signal over what the quantized run's values differ by before they are
            rounded here, dB. total_db: the same after, so that it holds all that was lost.
        earlier_db: the lowest `total_db` of the points before, in the order of execution.
        collapsed: share of the values that are not zero in float which rounding here makes zero.
        kurtosis: excess kurtosis of the float values; 0 for a normal distribution.
        peak: largest magnitude over the 99.9th percentile of magnitudes, at least one value left
            out.
        offset: share of the grid's range between zero and the nearest values, 0.1 % left out.
        constant_db: what the values' mean, which no grid can lose, adds to `local_db`, dB.
        channels_lost: share of the channels, those of zeros left out, of which rounding here alone
            leaves less than 10 dB. channel_ratio: root mean square of the largest channel over that
            of the one that a tenth of them lie below. None with fewer than 8 values a channel, or
            one channel. tokens_lost, token_ratio: the same of the tokens (or pixels, positions).
    """

    bits: Annotated[float, Field(ge=0)] | None
    local_db: Decibels | None
    arriving_db: Decibels | None
    earlier_db: Decibels | None
    total_db: Decibels | None
    collapsed: Share | None
    kurtosis: float | None
    peak: float | None
    offset: Share | None
    constant_db: Decibels | None
    channels_lost: Share | None = None
    channel_ratio: float | None = None
    tokens_lost: Share | None = None
    token_ratio: float | None = None


COLUMNS = tuple(Numbers.model_fields)
"""The rows of `PointObserved.columns`."""

COLUMNS_BEFORE = COLUMNS[:10]
"""Those up to schema 2.1, which weighed all values together."""


class Histogram(Part):
    """Values of all examples together.

    Attributes:
        counts: of each bin. exactly_zero: how many values are zero itself.
    """

    counts: list[Count]
    exactly_zero: Count


class PointObserved(Part):
    """What was seen at one point under one policy.

    Attributes:
        name: the point's.
        bin_width: of the histograms. first_bin: bin i holds values about (first_bin + i) bin_width,
            so the one about zero is at -first_bin; the end bins also hold what lies beyond.
        before: float. after: what the network gets in the quantized run.
        columns: (14, n), the `Numbers` of each example by itself, in their order; NaN where it does
            not have one, and a `peak` of infinity where nothing but a few values differs from zero.
            Of the n examples whose values are finite in both runs.
    """

    name: str
    bin_width: Annotated[float, Field(gt=0)]
    first_bin: int
    before: Histogram
    after: Histogram
    columns: Floats2


class PolicyObserved(Part):
    """All points in order, under one policy."""

    policy: str
    points: list[PointObserved]


class ActivationsObserved(Part):
    """What each explained policy does to the values, the policy that matters most first."""

    policies: list[PolicyObserved]


class PointActivations(Part):
    """The figures of one point under one policy.

    Sparsity is a plain share of values, without an interval: the values of an example hang
    together, so that an interval over them would promise too much.

    Attributes:
        name: the point's. n: examples measured, those whose values are finite in both runs.
        sparsity_before, sparsity_after: share of the values in the bin about zero.
        cause: by the rule of `questions.activations.causes`; None with n = 0.
        causes: how many examples each cause has by their values alone. harmed: examples whose
            cause is not "unharmed".
        median, worst: over all examples; worst is the lowest for dB, else the highest (bits: the
            fewest). typical: medians over the examples that have the point's cause.
    """

    name: str
    n: Count
    sparsity_before: Share | None
    sparsity_after: Share | None
    cause: Cause | None
    causes: dict[Cause, Count]
    harmed: Rate
    median: Numbers
    worst: Numbers
    typical: Numbers


class PolicyActivations(Part):
    """The figures of all points in order, under one policy."""

    policy: str
    points: list[PointActivations]


class Activations(Part):
    """The figures of each explained policy, the policy that matters most first."""

    policies: list[PolicyActivations]
