"""What would lose less in a shipped format: the same changed in one respect each."""

from pydantic import Field

from bitcliff.questions.standing import Standing
from bitcliff.record.arrays import Ints
from bitcliff.record.part import Part
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Count, Rate
from bitcliff.types.variants import Family, Variant

KEY = "variants"


class Tried(Part):
    """Observed: a variant of a format, on every example; -1 on a numeric failure.

    Attributes:
        left_out: layers that it is not for, which stay in the format as it is, by their points.
    """

    variant: Variant
    prediction: Ints
    left_out: list[str] = Field(default_factory=list)


class FormatObserved(Part):
    """Observed: an explained format, and all its variants; none where nothing is lost in it.

    Attributes:
        policy: its condition. prediction: in the format as it is, measured anew.
    """

    policy: str
    prediction: Ints
    tried: list[Tried]


class VariantsObserved(Part):
    """All explained formats, in their order.

    Attributes:
        half: places of the examples that choose among variants, drawn by seed, and that smoothing
            is fitted on; none with too few.
    """

    half: Ints
    formats: list[FormatObserved]


class VariantFigures(Part):
    """Figures of one variant, on some examples.

    Attributes:
        family, words: as observed. formula: what is rounded to. bits: of an activation and of a
            weight, with their share of a block's scale, as far as they are rounded.
        left_out: as observed.
        right: right predictions. regained: from the format as it is to these. loss: from float to
            these. standing: of the loss against the limit: pass if all of its interval is within,
            fail if all of it is beyond.
    """

    family: Family
    words: str
    formula: str
    bits: list[float]
    left_out: list[str]
    right: Rate
    regained: PairedChange
    loss: PairedChange
    standing: Standing


class FormatFigures(Part):
    """Figures of one format.

    Attributes:
        policy, bits: the format as it is, bits as in `VariantFigures`.
        float_rate, right: right predictions in float and in the format; loss: from one to the
            other.
        tried: its variants, on all examples.
        chosen: of those that are as narrow, the one that gives back most to the examples that
            choose, on the others; None where none gives anything back. chosen_on: how many chose;
            0: all did, and show it. helps: it surely gives something back.
    """

    policy: str
    bits: list[float]
    float_rate: Rate
    right: Rate
    loss: PairedChange
    tried: list[VariantFigures]
    chosen: VariantFigures | None = None
    chosen_on: Count = 0
    helps: bool = False


class Variants(Part):
    """Figures of all explained formats.

    Attributes:
        max_drop: percentage points that may be lost.
    """

    max_drop: float
    formats: list[FormatFigures]
