"""What helps, and what it costs: each remedy judged by a worst case that was looked for anew."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bitcliff.records.part import Part, Points, Share, check_interval
from bitcliff.records.plan import QuantizationPlan
from bitcliff.types.rate import Count, Rate

Family = Literal["none", "float", "floors", "percentile", "fine-tuned", "combined"]
Standing = Literal["pass", "fail", "inconclusive"]


class Change(Part):
    """A paired change of the share of right answers, percentage points, and its 95 % interval."""

    value: Points
    low: Points
    high: Points

    @model_validator(mode="after")
    def _holds_its_value(self) -> "Change":
        check_interval(self.low, self.value, self.high)
        return self


class Cost(Part):
    """What a remedy spends.

    Attributes:
        in_float: points that the remedy takes back to float.
        float_macs: share of the multiply-adds at the run's quantized points that have an operand
            at one of these, so that they must be done in float.
        total_bits: that every example spends on the points still quantized; mean_bits: a point.
        mean_with_float: mean bits over the run's quantized points, one in float counted as 32.
        freedom_log2: log2 of how many allocations are left to the adversary.
    """

    in_float: Count
    float_macs: Share
    total_bits: Count
    mean_bits: Annotated[float, Field(gt=0)]
    mean_with_float: Annotated[float, Field(ge=0)]
    freedom_log2: Annotated[float, Field(ge=0)]


class Remedied(Part):
    """The worst case found under one remedy, on the examples that have an answer in float, in the
    old worst case and in the new one.

    An answer is right if it is the label, or without labels if it is what float says.

    Attributes:
        family: what kind of remedy; "none": the worst case of the run itself.
        words: the remedy. float_points, floors, scheme: as in `QuantizationPlan`.
        right: under the new worst case. before: under the run's own.
        regained: from `before` to `right`. loss: from float to `right`; negative: worse than float.
        standing: of the loss against the limit: pass if all of the interval is within it, fail if
            all of it is beyond.
        failures: examples with NaN or infinity in the new worst case; passes: forward passes spent.
        on_front: no other remedy is at least as good in right answers and both costs, and better
            in one.
    """

    family: Family
    words: Annotated[str, Field(min_length=1)]
    float_points: list[str]
    floors: dict[str, int]
    scheme: str
    cost: Cost
    right: Rate
    before: Rate
    regained: Change
    loss: Change
    standing: Standing
    failures: Count
    passes: Count
    on_front: bool = False


class RandomAllocation(Part):
    """The runtime draws every example's bits itself; nobody picks them.

    Attributes:
        draws: of every example. mean: share of right answers over examples and draws, with the
            interval of so many whole examples, which is no narrower than its own.
        worst: the draw with fewest right. all_right: examples that are right in every draw.
    """

    draws: Annotated[Count, Field(gt=0)]
    mean: Rate
    worst: Rate
    all_right: Rate


class Remedies(Part):
    """All that was tried.

    Attributes:
        not_measured: why nothing was tried, or None.
        worst: name of the run's worst case, which the remedies are for; float_right: right answers
            without quantization, on the examples of `unremedied`.
        max_drop: percentage points that may be lost.
        unremedied: the run's own worst case in the same terms.
        remedies: those tried. random: a randomised allocation, not comparable with these.
        chosen_on: examples on which the percentile was chosen; it is shown on the others.
        recommended_on: examples on which the recommended one was chosen; 0: on all.
        tuned: whether a network was fine-tuned; its file stands beside the record.
        recommended: the one recommended, anew on all examples at every budget that it allows.
        confirmed: the same on the examples that had no part in choosing it; empty without such.
        plan: the same as a file; None where nothing helps.
    """

    not_measured: str | None = None
    worst: str | None = None
    float_right: Rate | None = None
    max_drop: Annotated[float, Field(ge=0)]
    unremedied: Remedied | None = None
    remedies: list[Remedied] = Field(default_factory=list)
    random: RandomAllocation | None = None
    chosen_on: Count = 0
    recommended_on: Count = 0
    tuned: bool = False
    recommended: list[Remedied] = Field(default_factory=list)
    confirmed: list[Remedied] = Field(default_factory=list)
    plan: QuantizationPlan | None = None
