"""The record of `bitcliff batchmates`: what became of each victim, and the figures made of it."""

from typing import Annotated

from pydantic import Field

from bitcliff.questions.runtime_description import RuntimeDescription
from bitcliff.record.measurement import Measurement
from bitcliff.record.part import Part
from bitcliff.record.schema import Provenance, SubjectInfo
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import ClusteredRate, Count, Rate
from bitcliff.types.settings import BatchmatesSettings

# The name of the attack that takes its companions from the data.
DATA = "from the data"

Class = Annotated[int, Field(ge=0)]
Runs = Annotated[Count, Field(ge=1)]


class Baseline(Part):
    """Observed: one example without an adversary. Predictions are classes.

    Attributes:
        float_prediction: of the float network in torch.
        alone: in the runtime, in a batch of one; what the others are compared with. margin: its
            lead over the next class, logits.
        copies: in a full batch of copies of itself; copies_same_bits: with the very same scores.
        random: in full batches with random others, one a draw.
        reference_alone, reference_random: of the float network in the same runtime, in the same
            batches.
        ours_same_bits: for each draw, whether our simulated path, one scale an example, gave the
            very same scores as at the same place in a batch of copies.
    """

    float_prediction: Class
    alone: Class
    margin: float
    copies: Class
    copies_same_bits: bool
    random: list[Class]
    reference_alone: Class
    reference_random: list[Class]
    ours_same_bits: list[bool]


class Attack(Part):
    """Observed: the worst companion that one attack found, in a batch of two in the runtime.

    Attributes:
        prediction: the victim's beside it. margin: by how far the class that it is given alone
            then leads, logits. companion: in words, or an example's id.
        runs: batches that were run. flips: how many of them flipped the victim; flipped_at: the
            number of the first, None for none. Crafted attacks stop there.
    """

    prediction: Class
    margin: float
    companion: str
    runs: Runs
    flips: Count
    flipped_at: Runs | None


class Checked(Part):
    """Observed: the worst companion of all, run again.

    Attributes:
        attack: which found it. swapped: the victim's prediction with places exchanged. full: in
            full batches with random others, at random places. reference: the float network's in
            the same batch of two. ours_same_bits: whether our path gave the scores that it gives
            among copies.
    """

    attack: str
    swapped: Class
    full: list[Class]
    reference: Class
    ours_same_bits: bool


class Victim(Part):
    """Observed: one example. Images are data URIs, kept where it was flipped."""

    id: str
    label: Class | None
    baseline: Baseline
    attacks: dict[str, Attack]
    checked: Checked
    image: str | None = None
    companion_image: str | None = None


class BatchmatesObserved(Part):
    """All that a measurement observed.

    Attributes:
        reference_runtime: the float network in the same runtime: the noise floor.
        positive_control: whether a planted pair flips in this runtime; None where the runtime does
            not take the planted network.
        crafting: how images were crafted, or why none were.
    """

    provenance: Provenance
    subject: SubjectInfo
    runtime: RuntimeDescription
    reference_runtime: RuntimeDescription
    settings: BatchmatesSettings
    positive_control: bool | None
    crafting: str
    victims: list[Victim] = Field(min_length=1)


class Situation(Part):
    """Figures of all victims in one situation, compared with the same victims alone.

    Attributes:
        flips: otherwise than alone.
        change: from alone to here, Holm-adjusted over all situations tested; None without labels,
            and for controls, which have nothing to test.
        lost_right: wrong here, of those right in float and right alone.
        runs: batches of two that the attack ran, on all victims.
    """

    name: str
    meaning: str
    flips: Rate | ClusteredRate
    change: PairedChange | None = None
    lost_right: Rate | None = None
    runs: int | None = None


class BatchmatesFigures(Part):
    """Figures of a measurement.

    Attributes:
        ours_changed: batches in which our path changed a bit of an example's scores.
        flipped: ids of victims that the worst companion flips, those first that lost the most of
            their lead.
    """

    accuracy_alone: Rate | None
    as_float_alone: Rate
    ours_changed: Rate
    situations: list[Situation]
    flipped: list[str]


Batchmates = Measurement[BatchmatesObserved, BatchmatesFigures]
