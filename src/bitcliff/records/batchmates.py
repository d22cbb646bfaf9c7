"""The record of `bitcliff batchmates`: what became of each victim, and the figures made of it."""

import json
from pathlib import Path

from pydantic import Field, ValidationError

from bitcliff.errors import InputError
from bitcliff.records.part import Part
from bitcliff.records.runtimes import RuntimeDescription
from bitcliff.records.schema import Interval, Provenance, SubjectInfo
from bitcliff.types.rate import ClusteredRate, Rate
from bitcliff.types.settings import BatchmatesSettings

BATCHMATES_NAME = "batchmates.json"
BATCHMATES_VERSION = "1.0"


class Baseline(Part):
    """One example without an adversary. Predictions are classes.

    Attributes:
        float_prediction: of the float network in torch.
        alone: in the runtime, in a batch of one; what the others are compared with. margin: its
            lead over the next class, logits.
        copies: in a full batch of copies of itself; copies_same_bits: with the very same scores.
        random: in full batches with random others, one a draw.
        twin_alone, twin_random: of the float network in the same runtime, in the same batches.
        ours_same_bits: for each draw, whether our simulated path, one scale an example, gave the
            very same scores as at the same place in a batch of copies.
    """

    float_prediction: int
    alone: int
    margin: float
    copies: int
    copies_same_bits: bool
    random: list[int]
    twin_alone: int
    twin_random: list[int]
    ours_same_bits: list[bool]


class Attack(Part):
    """The worst companion that one attack found, in a batch of two in the runtime.

    Attributes:
        prediction: the victim's answer beside it. margin: by how far the answer that it gives alone
            then leads, logits. companion: in words, or an example's id.
        runs: batches that were run. flips: how many of them flipped the victim; flipped_at: the
            number of the first, None for none. Crafted attacks stop there.
    """

    prediction: int
    margin: float
    companion: str
    runs: int
    flips: int
    flipped_at: int | None


class Checked(Part):
    """The worst companion of all, run again.

    Attributes:
        attack: which found it. swapped: the victim's answer with places exchanged. full: its answer
            in full batches with random others, at random places. twin: the float network's answer
            in the same batch of two. ours_same_bits: whether our path gave the scores that it gives
            among copies.
    """

    attack: str
    swapped: int
    full: list[int]
    twin: int
    ours_same_bits: bool


class Victim(Part):
    """One example. `picture` and `companion_picture` are data URIs, kept where it was flipped."""

    id: str
    label: int | None
    baseline: Baseline
    attacks: dict[str, Attack]
    checked: Checked
    picture: str | None = None
    companion_picture: str | None = None


class Situation(Part):
    """All victims in one situation, compared with the same victims alone.

    Attributes:
        flips: otherwise than alone. lost: right alone and wrong here; gained: the other way round.
        lost_right: wrong here, of those right in float and right alone.
        delta_pp: change of accuracy, percentage points, with Tango's interval. p_value: McNemar's,
            p_value_holm: corrected for all situations tested. None without labels, and for controls
            that have nothing to test. runs: batches of two that the attack ran, on all victims.
    """

    name: str
    meaning: str
    flips: Rate | ClusteredRate
    lost: int | None = None
    gained: int | None = None
    lost_right: Rate | None = None
    delta_pp: float | None = None
    delta_pp_interval: Interval | None = None
    p_value: float | None = None
    p_value_holm: float | None = None
    runs: int | None = None


class Batchmates(Part):
    """A whole measurement.

    Attributes:
        twin: the float network that the noise floor is measured with.
        planted_flips: whether a planted pair flips in this runtime, the positive control; None
            where the runtime does not take the planted network.
        crafting: how pictures were crafted, or why none were.
        ours_changed: batches in which our path changed a bit of an example's scores.
    """

    schema_version: str = BATCHMATES_VERSION
    provenance: Provenance
    subject: SubjectInfo
    runtime: RuntimeDescription
    twin: RuntimeDescription
    settings: BatchmatesSettings
    planted_flips: bool | None
    crafting: str
    accuracy_alone: Rate | None
    as_float_alone: Rate
    ours_changed: Rate
    situations: list[Situation]
    victims: list[Victim] = Field(min_length=1)


def read_batchmates(run: Path) -> Batchmates:
    """The record in a run directory.

    Raises:
        InputError: missing, damaged, or of another version.
    """
    file = run / BATCHMATES_NAME
    try:
        # Not pydantic's own JSON, which refuses the lone surrogates of odd file names.
        fields = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(
            f"{file}: cannot be read: {error.strerror}; give a run of `bitcliff batchmates`"
        ) from error
    except ValueError as error:
        raise InputError(f"{file}: not a whole JSON file: {error}") from error
    try:
        record = Batchmates.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{file}: not a record of `bitcliff batchmates`: {where}: {first['msg']}"
        ) from error
    except InputError as error:  # of the settings, whose checks tell it by the option
        raise InputError(
            f"{file}: not a record of `bitcliff batchmates`: settings: {error}"
        ) from error
    if record.schema_version != BATCHMATES_VERSION:
        raise InputError(
            f"{file}: schema_version {record.schema_version}, but this Bitcliff reads "
            f"{BATCHMATES_VERSION}: run it again"
        )
    return record
