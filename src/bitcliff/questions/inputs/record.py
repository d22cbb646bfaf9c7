"""Which inputs are at risk under a policy, and what they have in common."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bitcliff.records.part import Part, Share, check_interval, check_order
from bitcliff.types.rate import Count, Rate

TraitKey = Literal["class", "margin", "brightness", "contrast", "sharpness", "distance", "length"]


class Trait(Part):
    """Something measured on every input. `measured` says on what, and how."""

    key: TraitKey
    measured: str


class NotMeasured(Part):
    """A trait that could not be measured here, and why."""

    key: TraitKey
    reason: str


class Twin(Part):
    """Another network's run on the same data, for the paper's transitory points of a pair.

    `n_common` is how many examples the two runs share.
    """

    model: str
    weights_sha256: str
    n_common: Count


class Quantiles(Part):
    """Of a distribution over examples; `p05` is what 5 % of them lie below."""

    p05: float
    p25: float
    median: float
    p75: float
    p95: float

    @model_validator(mode="after")
    def _increase(self) -> "Quantiles":
        check_order((self.p05, self.p25, self.median, self.p75, self.p95))
        return self


class Comparison(Part):
    """A trait of the examples at risk against that of the others.

    Attributes:
        n_risk, n_safe: how many of each have the trait at all.
        median_risk, median_safe: None for the class.
        effect: the chance that one at risk has more of the trait than one that is not (0.5: no
            difference), with its 95 % interval `low` to `high`. For the class Cramér's V, without
            interval. None, like the p-values, where a group is empty.
        p_value: two-sided, Mann-Whitney; for the class a chi-square by shuffles.
        p_value_holm: adjusted over all tests of all explained policies.
    """

    key: TraitKey
    n_risk: Count
    n_safe: Count
    median_risk: float | None = None
    median_safe: float | None = None
    effect: Share | None = None
    low: Share | None = None
    high: Share | None = None
    p_value: Share | None = None
    p_value_holm: Share | None = None

    @model_validator(mode="after")
    def _holds_its_value(self) -> "Comparison":
        # Cramér's V has no interval.
        check_interval(self.low, None if self.key == "class" else self.effect, self.high)
        return self


class ClassAtRisk(Part):
    """How many examples of a class are at risk."""

    label: Count
    at_risk: Rate


class PolicyRisk(Part):
    """What one policy does to the inputs. Numeric failures are counted apart, and enter no rate.

    Attributes:
        numeric_failures: in float or under the policy.
        at_risk: right in float and wrong under the policy, out of those right in float; without
            labels, examples whose answer changes, out of all. Those out of which they are counted
            are the ones compared with them.
        flipped: any change of the answer, out of all. lost: right to wrong. gained: wrong to right.
            other_wrong: wrong to otherwise wrong. None without labels.
        transitory, transitory_of_all: right in float in this network and in its twin, and wrong in
            this one under the policy: out of those right in both, and out of all in common.
        erosion: float margin minus the margin under the policy, logits. eroded: those above 0.
        classes: those that occur among the compared, most at risk first.
        worst: ids of the examples at risk that lost most margin, most first.
    """

    policy: str
    numeric_failures: Rate
    at_risk: Rate
    flipped: Rate
    lost: Rate | None
    gained: Rate | None
    other_wrong: Rate | None
    transitory: Rate | None
    transitory_of_all: Rate | None
    erosion: Quantiles | None
    eroded: Rate
    comparisons: list[Comparison]
    classes: list[ClassAtRisk]
    worst: list[str]


class InputsAtRisk(Part):
    """The answer, policy by policy.

    Attributes:
        margin_scale: the median size of the float margins, logits: what counts as clear-cut here.
        pictures: of the worst ones, by id, where the record itself keeps none; data URIs.
    """

    margin_scale: Annotated[float, Field(ge=0)]
    traits: list[Trait]
    not_measured: list[NotMeasured]
    twin: Twin | None
    policies: list[PolicyRisk]
    pictures: dict[str, str] = Field(default_factory=dict)
