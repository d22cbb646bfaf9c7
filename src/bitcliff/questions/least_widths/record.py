"""The worst case over the least width an adversary may use: what was observed, and the figures."""

from typing import Annotated

from pydantic import Field

from bitcliff.record.arrays import Ints, Small2
from bitcliff.record.outcomes import Effort
from bitcliff.record.part import Part
from bitcliff.types.rate import Count, Rate

KEY = "least_widths"

Width = Annotated[int, Field(ge=2, le=16)]
Log2 = Annotated[float, Field(ge=0, le=1e9)]


class CutObserved(Part):
    """Observed: a worst case looked for anew without the widths below one, at a mean of bits.

    Attributes:
        mean_bits: as asked for. least: the narrowest width that is left.
        freedom_log2: log2 of how many allocations are left, of the same total.
        places: (m,) of the examples that were searched: those lost before under bits that are not
            left. prediction: (m,) what was found, -1 on a numeric failure. bits: (m, L).
    """

    mean_bits: Annotated[float, Field(gt=0)]
    least: Width
    freedom_log2: Log2
    places: Ints
    prediction: Ints
    bits: Small2
    effort: Effort


class LeastWidthsObserved(Part):
    """Observed: the mean bits in the run's order, of each its least widths from below, as far as
    the total can be met."""

    cuts: list[CutObserved]


class Cut(Part):
    """Figures: what is lost with a least width.

    Attributes:
        lost: of the answers that float has right (without labels: of all), those that are wrong
            (others) under the worst bits found that keep to it.
        only_even: whether one allocation is left. searched: examples looked at anew. passes: of
            these forward, in all.
    """

    least: Width
    lost: Rate
    only_even: bool
    searched: Count
    passes: Count


class AtMean(Part):
    """Figures of one mean of bits.

    Attributes:
        cuts: by least width, the first being the run's own worst case with all options.
        safe: the narrowest from which on no more than the run's limit was found to be lost; None:
            more is even with the widest.
    """

    mean_bits: float
    cuts: list[Cut]
    safe: int | None


class LeastWidths(Part):
    """Figures: the answer to "which least width is safe?"."""

    means: list[AtMean]
