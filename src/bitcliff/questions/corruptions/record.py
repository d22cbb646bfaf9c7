"""How float and quantized networks stand corrupted images: what was observed, and the figures."""

from typing import Annotated

from pydantic import Field

from bitcliff.record.part import Part
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import ClusteredRate, Count

FLOAT = "float"
"""Beside the names of the policies."""

Marks = Annotated[str, Field(pattern="^[01-]*$")]
"""One character an example: 1 right, 0 wrong, - NaN or infinity, which is neither."""
Degree = Annotated[int, Field(ge=1, le=5)]


class CorruptionInfo(Part):
    """One corruption. `strengths`: its `measure` (in words) at each of the degrees measured."""

    name: str
    measure: str
    strengths: list[float]


class MarkedCell(Part):
    """Observed: one corruption at one degree.

    Attributes:
        marks: by "float" and the names of the policies, a text for each seed, in which a character
            stands for each of the examples.
    """

    corruption: str
    degree: Degree
    marks: dict[str, list[Marks]]


class CorruptionsObserved(Part):
    """What was measured on corrupted images. On clean ones nothing was: the record has those.

    Attributes:
        reason: why nothing was measured; None if it was, and then all else is filled.
        examples: ids of those used, in the order of the marks. seeds: one draw an example each.
        images: how inputs became images and inputs again, in words.
        bits: by policy, where the bits of a corrupted image came from, in words.
        cells: every corruption at every degree, in their order.
    """

    reason: str | None = None
    examples: list[str] = Field(default_factory=list)
    seeds: list[int] = Field(default_factory=list)
    degrees: list[Degree] = Field(default_factory=list)
    images: str = ""
    bits: dict[str, str] = Field(default_factory=dict)
    corruptions: list[CorruptionInfo] = Field(default_factory=list)
    cells: list[MarkedCell] = Field(default_factory=list)


class MarkedRuns(Part):
    """Figures: what the marks of one way of running the network give.

    Attributes:
        accuracy: over all seeds, the interval clustered by example.
        failed: predictions that were NaN or infinity; they enter no rate.
    """

    accuracy: ClusteredRate
    failed: Count


class Loss(Part):
    """Figures: what quantization loses.

    Attributes:
        lost: of what float gets right on the same image, what is wrong quantized.
        against_clean: does quantization lose more on corrupted images than on the same ones clean?
            The change of its right predictions from clean to corrupted: `lost` are those that it
            loses only corrupted, `gained` those that it loses only clean. On the first seed alone,
            since the draws of one example are not independent, and on the examples that float gets
            right both times and that gave a prediction both times. The interval holds for all
            comparisons of the question together, with 95 %. None on clean images, for a policy
            whose bits were searched for on them, and where float gets no example right both times.
    """

    lost: ClusteredRate
    against_clean: PairedChange | None


class CorruptionCell(Part):
    """Figures: one corruption at one degree, or clean images, of degree 0.

    Attributes:
        runs: by "float" and the names of the policies. losses: by the names of the policies.
    """

    corruption: str
    degree: Annotated[int, Field(ge=0, le=5)]
    runs: dict[str, MarkedRuns]
    losses: dict[str, Loss]


class Corruptions(Part):
    """Figures: the answer to "what about corrupted images?", with what else its page shows.

    Attributes:
        clean: None where nothing was measured, for the `reason` that is then there.
        n: examples. draws: of each at every degree of a corruption.
    """

    reason: str | None = None
    n: Count = 0
    draws: Count = 0
    degrees: list[Degree] = Field(default_factory=list)
    images: str = ""
    bits: dict[str, str] = Field(default_factory=dict)
    corruptions: list[CorruptionInfo] = Field(default_factory=list)
    clean: CorruptionCell | None = None
    cells: list[CorruptionCell] = Field(default_factory=list)
