"""The record's schema. Every number of a report can be recomputed from `Record.examples`."""

from typing import Literal

from pydantic import ConfigDict, Field, field_validator

from bitcliff.records.explanation import Explanation
from bitcliff.records.part import Part
from bitcliff.records.runtimes import RuntimeInfo
from bitcliff.records.verification import Verification
from bitcliff.types.rate import Rate
from bitcliff.types.settings import AssessSettings

SCHEMA_VERSION = "1.2"
# Read as they are: what came later is absent in them.
OLDER_VERSIONS = ("1.0", "1.1")

Threat = Literal["none", "policy-only", "co-trained"]


class Interval(Part):
    """A two-sided 95 % interval, in the units of the field it stands beside."""

    low: float
    high: float


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
    """One quantization point. `shape` is one example's, `macs` one example's multiply-adds."""

    name: str
    kind: str
    shape: list[int]
    macs: int
    quantized: bool
    reason: str = ""


class Uncovered(Part):
    """Something a runtime would quantize that was seen but that Bitcliff does not cover."""

    name: str
    kind: str
    reason: str


class Coverage(Part):
    """How much of the network is quantized.

    `complete` is False when anything is in `uncovered`: the run is then inconclusive. `macs_share`
    is of the network's multiply-adds; None where not known, as that of what is not covered.
    """

    complete: bool
    quantized: int
    left_out: int
    macs_share: float | None
    uncovered: list[Uncovered]


class SubjectInfo(Part):
    """The model and the data. `black_box`: it was not looked inside, and has no points here."""

    model: str
    data: str
    n_examples: int
    n_available: int
    n_classes: int
    labelled: bool
    preprocessing: str
    class_names: list[str] | None
    points: list[PointRow]
    coverage: Coverage
    black_box: bool = False


class ClassRate(Part):
    """The class that fares worst."""

    label: int
    accuracy: Rate


class FloatResult(Part):
    """The network in float on the same examples. `accuracy` is None without labels."""

    accuracy: Rate | None
    worst_class: ClassRate | None
    numeric_failures: Rate


class Folding(Part):
    """What folding BatchNorm into the layers before it changed in float.

    Attributes:
        names: the BatchNorms that are gone. largest_difference: of any logit.
        changed: examples whose decision is another than that of the network as it came.
    """

    names: list[str]
    largest_difference: float
    changed: Rate


class Flips(Part):
    """Float and quantized argmax differ. `lost` and `gained` need labels.

    Attributes:
        all: flips of any kind.
        lost: right in float, wrong quantized. gained: the other way round.
        upper_95: one-sided 95 % upper bound on the share of flips when none was seen, else None.
    """

    all: Rate
    lost: Rate | None
    gained: Rate | None
    upper_95: float | None


class Effort(Part):
    """What was spent to find or measure this, in examples passed through the network.

    A worst case that was found bounds the true one from one side only; `method` says how it was
    looked for.
    """

    forward_passes: int
    backward_passes: int
    method: str


class Distribution(Part):
    """A random policy over its draws; the policy's own figures are those of its median draw."""

    draws: int
    median_draw: int
    accuracy: list[Rate] | None
    agreement: list[Rate]


class PolicyResult(Part):
    """One policy's figures, on the examples that have an outcome under its name.

    Attributes:
        delta_pp: quantized minus float accuracy, percentage points; None without labels.
        delta_pp_interval: paired 95 % interval of the same.
        p_value: exact McNemar against float; p_value_holm: Holm-adjusted over the run's policies.
        allocation: the bits at each point where all examples share them, else None.
        policy_freedom_log2: log2 of the number of allocations that spend exactly `total_bits`.
        runtime: of `Record.runtimes`, the one that it was measured in; None: simulated.
        broken: ids of the examples that gave NaN or infinity under any allocation that was tried on
            the way, in a search or in any draw, though perhaps not under the one shown.
        repeated: of the flips that a search found, how many stay in every repeat with the input
            nudged by one part in a million, which stands for another machine's arithmetic.
    """

    name: str
    threat: Threat
    description: str
    mean_bits: float | None
    total_bits: int | None
    policy_freedom_log2: float | None
    allocation: list[int] | None
    accuracy: Rate | None
    agreement: Rate
    flips: Flips
    delta_pp: float | None
    delta_pp_interval: Interval | None
    p_value: float | None
    p_value_holm: float | None
    worst_class: ClassRate | None
    numeric_failures: Rate
    effort: Effort
    broken: list[str] = Field(default_factory=list)
    distribution: Distribution | None = None
    repeated: Rate | None = None
    runtime: str | None = None


class Outcome(Part):
    """One example under one policy.

    Attributes:
        prediction: argmax; None on a numeric failure.
        margin: logit of the reference class minus the largest other; None on a numeric failure.
        failed_at: the point at which a NaN or infinity first showed, else None.
        bits: the allocation at the quantized points, in their order; None where nothing is rounded.
        draws: for random policies, the prediction in each draw (None: numeric failure).
        repeats: for searched policies, the prediction in each repeat with a nudged input.
    """

    prediction: int | None
    margin: float | None
    failed_at: str | None = None
    bits: list[int] | None = None
    draws: list[int | None] | None = None
    repeats: list[int | None] | None = None


class ExampleRow(Part):
    """One example: what float said, and what each policy made of it.

    `thumbnail` is a small picture as a data URI, kept for examples at risk only.
    """

    id: str
    label: int | None
    float_prediction: int | None
    float_margin: float | None
    outcomes: dict[str, Outcome]
    thumbnail: str | None = None


class Record(Part):
    """A whole assessment.

    `at_risk` holds the ids of examples that a policy-only worst case or a runtime flips, worst
    margin first. `explanation` is there once `bitcliff explain` has run, `verification` once
    `bitcliff verify` has, `folding` if it was asked for.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )

    schema_version: str = SCHEMA_VERSION
    provenance: Provenance
    subject: SubjectInfo
    settings: AssessSettings
    float_: FloatResult = Field(alias="float")
    policies: list[PolicyResult]
    at_risk: list[str]
    examples: list[ExampleRow]
    explanation: Explanation | None = None
    folding: Folding | None = None
    runtimes: list[RuntimeInfo] = Field(default_factory=list)
    verification: Verification | None = None

    @field_validator("settings")
    @classmethod
    def _are_resolved(cls, settings: AssessSettings) -> AssessSettings:
        """What was left open when asked for is not what was done."""
        if settings.batch_size is None or settings.margin == "auto":
            raise ValueError("batch_size and margin should say what was measured with")
        return settings

    @property
    def names_in_runtimes(self) -> set[str]:
        """Of the policies that a runtime decides on, and that show no bits."""
        return {policy.name for policy in self.policies if policy.runtime is not None}
