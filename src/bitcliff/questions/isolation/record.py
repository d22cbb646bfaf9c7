"""The record of `bitcliff isolate`: whose values share a scale, what became of each victim, and the
figures made of both."""

from typing import Annotated, Literal

from pydantic import Field

from bitcliff.questions.runtime_description import RuntimeDescription
from bitcliff.record.measurement import Measurement
from bitcliff.record.part import Part
from bitcliff.record.schema import Provenance, SubjectInfo
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import ClusteredRate, Count, Rate
from bitcliff.types.settings import IsolationSettings

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


class GroupsSeen(Part):
    """Observed: the groups that share a scale, at one point in one pass; none: not reached.

    Attributes:
        examples: the most whose values one group may hold. crossing: how many groups hold values
            of several examples, each value of one alone. mixed: how many values the network
            itself, in float, has made of several examples before it got there.
    """

    groups: Count
    examples: Count
    crossing: Count
    mixed: Count


class PointGroups(Part):
    """Observed: one point that a format rounds, in every pass.

    Attributes:
        spans: how many values lie along the axes of a group, for texts of some length and one token
            shorter; empty where inputs have one length.
    """

    name: str
    seen: list[GroupsSeen]
    spans: list[Count]


class PassSeen(Part):
    """Observed: one pass in which every kernel was followed.

    Attributes:
        padded: whether a text in it was. mixing: the first kernel at which the network itself may
            have made one value of several examples, and where; empty: none. mixed_output: how many
            values of the output are such. lost: what could not be followed, in words.
    """

    batch: Annotated[Count, Field(ge=2)]
    padded: bool
    mixing: str
    mixed_output: Count
    lost: list[str]


class Proof(Part):
    """Observed: whose values lie in each group that shares a scale.

    Attributes:
        numerics: the format. group: what shares a scale, in words. in_float: points that the
            format leaves in float. unknown: kernels that were taken to mix all they are given.
        reads_mask: whether the network takes another way where a text is padded.
    """

    numerics: str
    group: str
    passes: list[PassSeen] = Field(min_length=1)
    points: list[PointGroups]
    in_float: list[str]
    unknown: list[str]
    reads_mask: bool


class IsolationObserved(Part):
    """All that a measurement observed.

    Attributes:
        proof: None for a runtime, which is a black box. victims: none where that is a proof.
        reference_runtime: the float network in the same runtime: the noise floor.
        positive_control: whether a planted pair flips in this runtime; None where the runtime does
            not take the planted network.
        crafting: how images were crafted, or why none were.
    """

    provenance: Provenance
    subject: SubjectInfo
    runtime: RuntimeDescription
    reference_runtime: RuntimeDescription
    settings: IsolationSettings
    positive_control: bool | None
    crafting: str
    proof: Proof | None = None
    victims: list[Victim]


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


class ProofFigures(Part):
    """What follows from whose values lie in which group.

    Attributes:
        proved: no group can hold two examples, and all was followed. reasons: why it is none, in
            words. examples: the most in one group anywhere. crossing, mixed, padding: the points at
            which a group holds several examples, at which the network has mixed them in float,
            and at which padding enters a group; in order of execution.
    """

    proved: bool
    reasons: list[str]
    examples: int
    groups: int
    crossing: list[str]
    mixed: list[str]
    padding: list[str]


Status = Literal["proved", "counterexample", "open"]


class IsolationFigures(Part):
    """Figures of a measurement; those of victims are None where there are none.

    Attributes:
        counterexamples: ids of the flipped victims that float, in the same batches, and copies of
            themselves leave as they were.
        runs: batches in which a companion was tried.
        ours_changed: batches in which our path changed a bit of an example's scores.
        flipped: ids of victims that the worst companion flips, those first that lost the most of
            their lead.
    """

    status: Status
    proof: ProofFigures | None
    counterexamples: list[str]
    runs: int
    accuracy_alone: Rate | None
    as_float_alone: Rate | None
    ours_changed: Rate | None
    situations: list[Situation]
    flipped: list[str]


Isolation = Measurement[IsolationObserved, IsolationFigures]
