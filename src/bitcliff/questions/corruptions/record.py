"""How float and quantized answers stand corrupted pictures: part of an explanation."""

from typing import Annotated

from pydantic import Field, model_validator

from bitcliff.records.part import Part, Points, Share, check_interval
from bitcliff.types.rate import ClusteredRate, Count

Marks = Annotated[str, Field(pattern="^[01-]*$")]
"""One character an example: 1 right, 0 wrong, - NaN or infinity, which is neither."""


class CorruptionInfo(Part):
    """One corruption. `strengths`: its `measure` (in words) at each of the degrees measured."""

    name: str
    measure: str
    strengths: list[float]


class Answers(Part):
    """What one way of running the network answered.

    Attributes:
        marks: one text for each seed, one character for each of the examples.
        accuracy: over all seeds, the interval clustered by example.
        failed: answers that were NaN or infinity; they enter no rate.
    """

    marks: list[Marks]
    accuracy: ClusteredRate
    failed: Count


class AgainstClean(Part):
    """Does quantization lose more on corrupted pictures than on the same pictures clean?

    On the first seed alone, since the draws of one example are not independent, and on the examples
    that float gets right both times and that were answered both times.

    Attributes:
        n: these examples. only_corrupted: quantization loses it corrupted, and not clean.
        only_clean: the other way round.
        difference_pp: share lost corrupted minus share lost clean, percentage points.
        low_pp, high_pp: of the difference; they hold for all comparisons of the part together, with
            95 % (Tango's interval at 1 - 0.05 / comparisons).
        p_value: exact McNemar. p_value_holm: Holm-adjusted over all comparisons of the part.
    """

    n: Count
    only_corrupted: Count
    only_clean: Count
    difference_pp: Points
    low_pp: Points
    high_pp: Points
    p_value: Share
    p_value_holm: Share

    @model_validator(mode="after")
    def _holds_its_value(self) -> "AgainstClean":
        check_interval(self.low_pp, self.difference_pp, self.high_pp)
        return self


class Loss(Part):
    """What quantization loses.

    Attributes:
        lost: of the answers right in float on the same picture, those that are wrong quantized.
        against_clean: None on clean pictures, for a policy whose bits were searched for on them,
            and where float gets no example right both times.
    """

    lost: ClusteredRate
    against_clean: AgainstClean | None


class CorruptionCell(Part):
    """One corruption at one degree; clean pictures have degree 0.

    Attributes:
        answers: by "float" and the names of the policies. losses: by the names of the policies.
    """

    corruption: str
    degree: Annotated[int, Field(ge=0, le=5)]
    answers: dict[str, Answers]
    losses: dict[str, Loss]


class Corruptions(Part):
    """The answer to "what about corrupted pictures?".

    Attributes:
        reason: why it was not measured; None if it was, and then all else is filled.
        examples: ids of those used, in the order of the marks. seeds: one draw an example each.
        pictures: how inputs became pictures and inputs again, in words.
        bits: by policy, where the bits of a corrupted picture came from, in words.
    """

    reason: str | None = None
    examples: list[str] = Field(default_factory=list)
    seeds: list[int] = Field(default_factory=list)
    degrees: list[Annotated[int, Field(ge=1, le=5)]] = Field(default_factory=list)
    pictures: str = ""
    bits: dict[str, str] = Field(default_factory=dict)
    corruptions: list[CorruptionInfo] = Field(default_factory=list)
    clean: CorruptionCell | None = None
    cells: list[CorruptionCell] = Field(default_factory=list)
