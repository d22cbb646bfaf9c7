"""What helps, and what it costs: each mitigation judged by a worst case looked for anew."""

from typing import Annotated, Literal

from pydantic import Field

from bitcliff.questions.plan_in_runtime import PlanRun, PlanThere
from bitcliff.questions.standing import Standing
from bitcliff.record.arrays import Ints
from bitcliff.record.part import Part
from bitcliff.record.plan import QuantizationPlan
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Count, Rate

Family = Literal["none", "float", "floors", "percentile", "fine-tuned", "combined"]


class WorstCase(Part):
    """Observed: the worst case found under a mitigation at one mean of bits.

    Attributes:
        total_bits: that every example spends on the points still quantized.
        freedom_log2: log2 of how many allocations were left to the adversary.
        passes: forward passes spent.
        predictions: one for each example that was searched, in their order, -1 on a numeric
            failure: of a percentile those that it was not chosen on, else all.
    """

    mean_bits: Annotated[float, Field(gt=0)]
    total_bits: Count
    freedom_log2: Annotated[float, Field(ge=0)]
    passes: Count
    predictions: Ints


class Trial(Part):
    """Observed: one mitigation that was tried.

    Attributes:
        words: the mitigation. float_points, floors, scheme: as in `QuantizationPlan`.
        worst: at the mean of bits of the run's own worst case.
        on_half: of a percentile, the predictions on the half that it was chosen on.
        further: of the one recommended, at every further budget of the run that it allows.
    """

    family: Family
    words: Annotated[str, Field(min_length=1)]
    float_points: list[str]
    floors: dict[str, int]
    scheme: str
    worst: WorstCase
    on_half: Ints | None = None
    further: list[WorstCase] = Field(default_factory=list)


class Tuned(Part):
    """A network that was fine-tuned; its file stands beside the record."""

    model: str
    weights_sha256: str


class MitigationsObserved(Part):
    """All that was tried, on the run's worst case per example that loses most.

    Attributes:
        half: places of one half of the examples, drawn by seed; none where there are too few. It
            decides what is tried and recommended where there are enough to hold the others out.
        in_runtimes: the runtimes of the run with the recommended one's points in float, where it
            has some; none in older records.
    """

    half: Ints
    trials: list[Trial]
    tuned: Tuned | None = None
    in_runtimes: list[PlanRun] = Field(default_factory=list)


class Cost(Part):
    """Figures: what a mitigation spends.

    Attributes:
        in_float: points that the mitigation takes back to float.
        float_macs: share of the multiply-adds at the run's quantized points that have an operand
            at one of these, so that they must be done in float.
        total_bits: that every example spends on the points still quantized; mean_bits: a point.
        mean_with_float: mean bits over the run's quantized points, one in float counted as 32.
        freedom_log2: log2 of how many allocations are left to the adversary.
    """

    in_float: Count
    float_macs: float
    total_bits: Count
    mean_bits: float
    mean_with_float: float
    freedom_log2: float


class Mitigated(Part):
    """Figures: the worst case found under one mitigation, on the examples that have a prediction
    in float, in the old worst case and in the new one.

    A prediction is right if it is the label, or without labels if it is float's.

    Attributes:
        family: what kind of mitigation; "none": the worst case of the run itself.
        words, float_points, floors, scheme: as observed.
        right: under the new worst case. before: under the run's own.
        regained: from `before` to `right`. loss: from float to `right`; negative: worse than float.
        standing: of the loss against the limit: pass if all of the interval is within it, fail if
            all of it is beyond.
        failures: examples with NaN or infinity in the new worst case; passes: forward passes spent.
        on_front: no other mitigation is at least as good in right predictions and both costs, and
            better in one.
    """

    family: Family
    words: str
    float_points: list[str]
    floors: dict[str, int]
    scheme: str
    cost: Cost
    right: Rate
    before: Rate
    regained: PairedChange
    loss: PairedChange
    standing: Standing
    failures: Count
    passes: Count
    on_front: bool = False


class RandomAllocation(Part):
    """Figures: the runtime draws every example's bits itself; nobody picks them.

    Attributes:
        draws: of every example. mean: share of right predictions over examples and draws, with the
            interval of so many whole examples, which is no narrower than its own.
        worst: the draw with fewest right. all_right: examples that are right in every draw.
    """

    draws: Count
    mean: Rate
    worst: Rate
    all_right: Rate


class Mitigations(Part):
    """The figures of all that was tried.

    Attributes:
        not_measured: why nothing was tried, or None.
        worst: name of the run's worst case, which the mitigations are for; float_right: right
            predictions without quantization, on the examples of `unmitigated`.
        max_drop: percentage points that may be lost.
        unmitigated: the run's own worst case in the same terms.
        tried: the mitigations. random: a randomised allocation, not comparable with these.
        chosen_on: examples on which the percentile was chosen; it is shown on the others.
        recommended_on: examples on which the recommended one was chosen; 0: on all.
        tuned: whether a network was fine-tuned; its file stands beside the record.
        recommended: the one recommended, anew on all examples at every budget that it allows.
        confirmed: the same on the examples that had no part in choosing it; empty without such.
        plan: the same as a file; None where nothing helps.
        in_runtimes: its points in float in the run's runtimes, on the examples that had no part in
            choosing it, or on all without such.
    """

    not_measured: str | None = None
    worst: str | None = None
    float_right: Rate | None = None
    max_drop: float
    unmitigated: Mitigated | None = None
    tried: list[Mitigated] = Field(default_factory=list)
    random: RandomAllocation | None = None
    chosen_on: Count = 0
    recommended_on: Count = 0
    tuned: bool = False
    recommended: list[Mitigated] = Field(default_factory=list)
    confirmed: list[Mitigated] = Field(default_factory=list)
    plan: QuantizationPlan | None = None
    in_runtimes: list[PlanThere] = Field(default_factory=list)
