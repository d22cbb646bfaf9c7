"""What a record holds that was observed; `bitcliff.record.figures` has what follows from it."""

from typing import Literal

from pydantic import Field, field_validator

from bitcliff.record.outcomes import Measured, Table
from bitcliff.record.part import Part
from bitcliff.types.rate import Count
from bitcliff.types.settings import AssessSettings

SCHEMA_VERSION = "2.7"
# They hold the same observations, or fewer; their figures are by rules of before (2.0: the interval
# of a change; 2.1: causes of damage;
# 2.2: plans for runtimes; 2.3: scores; 2.4: error rates of texts; 2.5: perplexity; 2.6: its
# interval).
SAME_OBSERVATIONS = ("2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6")


class Provenance(Part):
    """How the numbers came to be, enough to make them again."""

    bitcliff: str
    python: str
    packages: dict[str, str]
    revision: str | None
    seed: int
    command: str
    started: str
    finished: str
    platform: str
    cpu_flags: list[str]
    threads: int
    weights_sha256: str
    data_sha256: str
    runs_user_code: bool


class PointRow(Part):
    """One quantization point. `shape` is one example's, `macs` one example's multiply-adds.

    `site` is the call it belongs to, whose work counts once however many points it has.
    """

    name: str
    site: str
    kind: str
    shape: list[int]
    macs: Count
    quantized: bool
    reason: str = ""


class Uncovered(Part):
    """Something a runtime would quantize that was seen but that Bitcliff does not cover."""

    name: str
    kind: str
    reason: str


class SubjectInfo(Part):
    """The model and the data.

    `uncovered`: what a runtime would quantize and Bitcliff does not; the run is then inconclusive.
    `black_box`: it was not looked inside, and has no points here.
    `output`: the one that is judged, and `other_outputs` those beside it, with their shapes in
    words; None and empty where it has one alone. `labelling`: how labels were read, in words; empty
    where nothing was to be decided. `final_activation`: what scores come out of last; margins are
    then of their logarithms or log-odds. None: of a record whose margins are of scores as they are.
    `task`: what a decision is, as `--task` takes it; `decision`: the same in words.
    `by_words`: a score is the words that are right, one less the word error rate.
    """

    model: str
    data: str
    n_examples: int
    n_available: int
    n_classes: int
    labelled: bool
    preprocessing: str
    class_names: list[str] | None
    points: list[PointRow]
    uncovered: list[Uncovered]
    black_box: bool = False
    output: str | None = None
    other_outputs: list[str] = Field(default_factory=list)
    labelling: str = ""
    final_activation: Literal["none", "softmax", "sigmoid"] | None = None
    task: str = "classification"
    decision: str = ""
    by_words: bool = False


class Folding(Part):
    """What folding BatchNorm into the layers before it changed in float.

    Attributes:
        names: the BatchNorms that are gone. left: how many are still there; None: not counted, as
            in older records. largest_difference: of any logit.
        changed: places of the examples whose decision is another than that of the network as it
            came.
    """

    names: list[str]
    largest_difference: float
    changed: list[Count]
    left: Count | None = None


class Explained(Part):
    """What `bitcliff explain` was asked.

    Attributes:
        policies: the names of the policies that are explained, the one that matters most first.
        n_train: examples of the training split that were used beside those of the record; 0 where
            the data has no such split.
        commands: those that were given, in their order; none where `assess --explain` was.
    """

    policies: list[str] = Field(min_length=1)
    n_train: Count
    commands: list[str] = Field(default_factory=list)


class Observed(Part):
    """All that an assessment observed, and what was asked for.

    `explained` is there once `bitcliff explain` has run, `folding` if it was asked for.
    """

    provenance: Provenance
    subject: SubjectInfo
    settings: AssessSettings
    examples: Table
    conditions: list[Measured]
    folding: Folding | None = None
    explained: Explained | None = None

    @field_validator("settings")
    @classmethod
    def _are_resolved(cls, settings: AssessSettings) -> AssessSettings:
        """What was left open when asked for is not what was done."""
        if settings.batch_size is None or settings.margin == "auto":
            raise ValueError("batch_size and margin should say what was measured with")
        return settings
