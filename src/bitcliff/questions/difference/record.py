"""What differs between two that are deployed: what was observed, and the figures."""

from typing import Annotated, Literal

from pydantic import Field

from bitcliff.record.arrays import Floats, Ints
from bitcliff.record.part import Part, Share
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Count, Rate

KEY = "difference"

Whence = Literal["arriving", "rounding", "weights"]
"""What parts at a layer: what comes from the layers before, its rounded inputs, its weights."""
Amount = Annotated[float, Field(ge=0)]


class PairObserved(Part):
    """Of two sides.

    Attributes:
        divergence: (n,) KL(A || B) of the softmax of their scores, nats; NaN where one has none,
            or where decisions are whether they are float's.
    """

    a: str
    b: str
    divergence: Floats


class LayerObserved(Part):
    """One layer input, run through under A and under B in the same batches; (n,) of each example.

    Attributes:
        name: the point's. values: how many an example has here.
        arriving, rounded: how many of them are other bits under B than under A, before this layer
            rounds them and after; -1 for an example that is not finite here or was not seen.
        signal: of the rounded ones under A, sum of squares. arriving_error, rounded_error: sum of
            squared differences, B less A; NaN where the counts are -1.
        weights: how many the layer has. other_weights: of those, rounded otherwise.
    """

    name: str
    values: Count
    arriving: Ints
    rounded: Ints
    signal: Floats
    arriving_error: Floats
    rounded_error: Floats
    weights: Count
    other_weights: Count


class LossObserved(Part):
    """Where the values of one layer input go when it is rounded; `bitcliff.quant.RoundingLoss`.

    Attributes:
        name: the point's. left_out: batches with a value that is not finite, which are not counted.
    """

    name: str
    values: Count
    saturated: Count
    nonzero: Count
    underflowed: Count
    groups: Count
    floored: Count
    signal: Amount
    error: Amount
    left_out: Count = 0


class SideObserved(Part):
    """One side by itself, in the run that layers are compared in.

    Attributes:
        losses: of every point whose values it rounds.
    """

    name: str
    losses: list[LossObserved]


class DifferenceObserved(Part):
    """What was seen beside the outcomes.

    Attributes:
        pairs: as in `bitcliff.record.pairs_of`.
        layers: of every point in order, of the first pair; None where `no_layers` says why not.
        sides: those that are simulated numerics.
    """

    pairs: list[PairObserved]
    layers: list[LayerObserved] | None
    no_layers: str = ""
    sides: list[SideObserved] = Field(default_factory=list)


class Nats(Part):
    """A divergence over n examples; None where there is none."""

    n: Count
    mean: Amount | None
    median: Amount | None
    largest: Amount | None


class PairFigures(Part):
    """B against A.

    Attributes:
        decisions: those that differ, of all that both answer.
        change: of right answers, B against A; None without labels.
        divergence: KL(A || B) in nats.
        margin_gap: how far the margin moves, logits: the median, and margin_gap_largest.
    """

    a: str
    b: str
    decisions: Rate
    change: PairedChange | None
    divergence: Nats
    margin_gap: Amount | None
    margin_gap_largest: Amount | None


class Parting(Part):
    """How far values part: shares of all values of all n examples together.

    Attributes:
        other: share of the values that are other bits. error: relative squared error,
            sum (B - A)^2 / sum A^2; None where A is all zero, or there is no value.
    """

    other: Share | None
    error: Amount | None


class LayerFigures(Part):
    """One layer input.

    Attributes:
        n: examples that are finite here on both sides. touched: of those, with a rounded value that
            differs. other_weights: share of the layer's weights that are rounded otherwise.
        parts: what is the first to part here, in the order in which it comes about; None: nothing.
    """

    name: str
    n: Count
    arriving: Parting
    rounded: Parting
    touched: Rate
    other_weights: Share | None
    parts: Whence | None


class LossFigures(Part):
    """Where the values of one layer input go: shares of its values, or of its groups.

    Attributes:
        error: relative squared error of rounding here. saturated: beyond the format's ends.
        underflowed: of those that are not zero, those that become zero. floored: groups whose scale
            is the least there is.
    """

    name: str
    error: Amount | None
    saturated: Share | None
    underflowed: Share | None
    floored: Share | None


class SideFigures(Part):
    """One side by itself."""

    name: str
    losses: list[LossFigures]


class Difference(Part):
    """All figures.

    Attributes:
        first: the first layer input at which values part; None: at none, or they were not seen.
    """

    pairs: list[PairFigures]
    layers: list[LayerFigures]
    first: str | None
    sides: list[SideFigures]
