"""Which inputs are at risk under a policy: what was observed of them, and the figures."""

from typing import Annotated

from pydantic import Field

from bitcliff.questions.features import FeatureKey, MeasuredFeature, NotMeasured
from bitcliff.record.arrays import Ints
from bitcliff.record.part import Part, Share
from bitcliff.types.rate import Count, Rate


class ReferenceRun(Part):
    """Observed: another network's run on the same data, for transitory points of the two.

    Attributes:
        places: (m,) of the examples in common, in this run. prediction: (m,) of that network in
            float, -1 on a numeric failure.
    """

    model: str
    weights_sha256: str
    places: Ints
    prediction: Ints


class InputsObserved(Part):
    """What was observed of the inputs, beside the outcomes that the record holds.

    Attributes:
        margin_scale: the median size of the float margins, logits: what counts as clear-cut here.
        reference: the other network's run, if one was given.
        images: of those shown, by id, where the record itself keeps none; data URIs.
        resampled: the p-values that were found by shuffling, by explained policy, in their order,
            and feature. Another version of a library may shuffle otherwise, so that these can't be
            worked out again.
    """

    margin_scale: Annotated[float, Field(ge=0)]
    features: list[MeasuredFeature]
    not_measured: list[NotMeasured]
    reference: ReferenceRun | None
    images: dict[str, str] = Field(default_factory=dict)
    resampled: dict[str, dict[FeatureKey, Share]]


class Feature(Part):
    """Figures: something known of every input. `measured` says on what, and how."""

    key: FeatureKey
    measured: str


class Reference(Part):
    """Figures: the other network, and how many examples the two runs share."""

    model: str
    n_common: Count


class Quantiles(Part):
    """Of a distribution over examples; `p05` is what 5 % of them lie below."""

    p05: float
    p25: float
    median: float
    p75: float
    p95: float


class Comparison(Part):
    """A feature of the examples at risk against that of the others.

    Attributes:
        n_risk, n_safe: how many of each have the feature at all.
        median_risk, median_safe: None for the class.
        effect: the chance that one at risk has more of the feature than one that is not (0.5: no
            difference), with its 95 % interval `low` to `high`. For the class Cramér's V, without
            interval. None, like the p-values, where a group is empty.
        p_value: two-sided, Mann-Whitney; for the class a chi-square by shuffles.
        p_holm: adjusted over all tests of all explained policies.
    """

    key: FeatureKey
    n_risk: Count
    n_safe: Count
    median_risk: float | None = None
    median_safe: float | None = None
    effect: Share | None = None
    low: Share | None = None
    high: Share | None = None
    p_value: Share | None = None
    p_holm: Share | None = None


class ClassAtRisk(Part):
    """How many examples of a class are at risk."""

    label: Count
    at_risk: Rate


class PolicyRisk(Part):
    """What one policy does to the inputs. Numeric failures are counted apart, and enter no rate.

    Attributes:
        numeric_failures: in float or under the policy.
        at_risk: right in float and wrong under the policy, out of those right in float; without
            labels, examples whose prediction changes, out of all. Those out of which they are
            counted are the ones compared with them.
        flipped: any change of the prediction, out of all. lost: right to wrong. gained: wrong to
            right. other_wrong: wrong to otherwise wrong. None without labels.
        transitory, transitory_of_all: right in float in this network and in the reference, and
            wrong in this one under the policy: out of those right in both, and out of all in
            common.
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
    """Figures: the answer, policy by policy, with what else its page shows."""

    margin_scale: Annotated[float, Field(ge=0)]
    features: list[Feature]
    not_measured: list[NotMeasured]
    reference: Reference | None
    policies: list[PolicyRisk]
