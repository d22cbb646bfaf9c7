"""What padding does, in float and quantized: what was observed, and the figures."""

from typing import Annotated

from pydantic import Field

from bitcliff.record.arrays import Ints
from bitcliff.record.part import Part
from bitcliff.types.rate import Count, Rate

KEY = "lengths"
FLOAT = "float"
"""Beside the names of the policies."""

Length = Annotated[int, Field(ge=1, le=2**31 - 1)]


class LengthCell(Part):
    """Observed: the examples that fit, padded to one length.

    Attributes:
        length: that they are padded to; None: each has its own, without padding.
        beside_longer: each is in a batch with the longest other ones; else by itself.
        prediction: by "float" and the names of the policies, a class for each example that is no
            longer, in the order of the data; -1 on a numeric failure.
    """

    length: Length | None
    beside_longer: bool = False
    prediction: dict[str, Ints]


class LengthsObserved(Part):
    """What was measured of examples that were padded anew.

    Attributes:
        reason: why nothing was measured; None if it was, and then all else is filled.
        padding: how it was done, in words. unit: what lengths count, such as "tokens".
        own: (n,) the lengths without padding. companions: longer ones in a batch.
        cells: without padding first, which every policy has; then by length; beside longer last.
        refused: lengths, and policies at them, that were not measured, and why.
    """

    reason: str | None = None
    padding: str = ""
    unit: str = ""
    own: Ints | None = None
    companions: Count = 0
    cells: list[LengthCell] = Field(default_factory=list)
    refused: list[str] = Field(default_factory=list)


class Decided(Part):
    """Figures: how one way of running the network decides at one length.

    Attributes:
        changed: decisions other than without padding; beside longer ones, other than by itself at
            the same length.
        beyond_float: of the examples that float decides alike in both, those decided otherwise:
            what padding does to float is not blamed on quantization. None of float itself.
        right: None without labels.
    """

    changed: Rate
    beyond_float: Rate | None
    right: Rate | None


class AtLength(Part):
    """Figures: one length. `fitting`: examples that are no longer. `padded`: that are shorter."""

    length: Length
    beside_longer: bool
    fitting: Count
    padded: Count
    decided: dict[str, Decided]


class Lengths(Part):
    """Figures: the answer to "what does padding do?", with what else its page shows.

    Attributes:
        shortest, longest: of the examples without padding.
        right_unpadded: by "float" and the names of the policies; None without labels.
    """

    reason: str | None = None
    padding: str = ""
    unit: str = ""
    shortest: Count = 0
    longest: Count = 0
    companions: Count = 0
    right_unpadded: dict[str, Rate | None] = Field(default_factory=dict)
    at: list[AtLength] = Field(default_factory=list)
    refused: list[str] = Field(default_factory=list)
