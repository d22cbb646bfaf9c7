"""Inputs drawn otherwise: what was observed, and the figures."""

from typing import Literal

from pydantic import Field

from bitcliff.questions.features import MeasuredFeature, MeasuredKey, NotMeasured
from bitcliff.record.arrays import Ints
from bitcliff.record.outcomes import Outcomes, Table
from bitcliff.record.part import Part
from bitcliff.types.change import ChangeDifference, PairedChange
from bitcliff.types.rate import Count, Rate
from bitcliff.types.reweighted import Reweighted

KEY = "distributions"

SliceKey = Literal[MeasuredKey, "class", "cluster"]


class Described(Part):
    """Observed: what is known of the inputs of a set.

    Attributes:
        cluster: (n,) of what float makes of each, -1 for none; None: not to be had.
    """

    features: list[MeasuredFeature]
    not_measured: list[NotMeasured]
    cluster: Ints | None


class SecondSet(Part):
    """Observed: the same of a second set, with what the networks say of it."""

    data: str
    sha256: str
    table: Table
    outcomes: dict[str, Outcomes]
    described: Described


class DistributionsObserved(Part):
    """What was observed, beside the outcomes that the record holds.

    Attributes:
        policies: that are explained. half: places of the examples that slices are looked for on;
            the others test them. clusters: how they were made, in words.
    """

    policies: list[str]
    half: Ints
    clusters: str
    described: Described
    second: SecondSet | None = None


class Condition(Part):
    """What an input of a slice fulfils: a feature is at most, at least, or is, a value."""

    key: SliceKey
    at: Literal["most", "least", "is"]
    value: float


class Slice(Part):
    """Figures: inputs that one or two conditions describe, which were chosen on one half.

    Attributes:
        chosen: lost in it on the half on which it was chosen, which flatters it. inside, outside:
            lost in it and elsewhere on the other half. p_value: of Fisher's exact test that more is
            lost inside, on the other half. p_holm: among all slices of the answer.
        change: of right predictions inside, on the other half.
        second: lost in it on the second set, all of it. Out of what float has right; without
            labels, changed, out of all.
    """

    conditions: list[Condition]
    chosen: Rate
    inside: Rate
    outside: Rate
    change: PairedChange
    p_value: float
    p_holm: float | None = None
    second: Rate | None = None


class Shift(Part):
    """Figures: one policy on the second set.

    Attributes:
        change: of right predictions there. difference: how much more is lost there.
    """

    change: PairedChange
    difference: ChangeDifference | None
    curve: list[Reweighted]


class UnderPolicy(Part):
    """Figures: one policy. Examples without a prediction count nowhere but in `failed`.

    Attributes:
        change: of right predictions; without labels, of predictions as in float. curve: the drop
            where inputs get other weights, as a share, by how far they may differ.
        group: the class that loses most; None: too few examples, or none loses more than others.
            slice: the same of all that one or two conditions on features describe.
    """

    policy: str
    failed: Count
    change: PairedChange
    curve: list[Reweighted]
    group: Slice | None
    slice: Slice | None
    shift: Shift | None = None


class ClusterOf(Part):
    """Figures: how many of a cluster are of its most frequent class."""

    cluster: Count
    label: Count
    of_label: Rate


class Distributions(Part):
    """Figures: the answer, policy by policy.

    Attributes:
        looked_for: whether there are enough examples to look for slices on one half and to test
            them on the other. second: the name of the second set; None: there is none.
    """

    looked_for: bool
    half: Count
    rest: Count
    clusters: str
    of_clusters: list[ClusterOf]
    features: dict[MeasuredKey, str] = Field(default_factory=dict)
    not_measured: list[NotMeasured]
    second: str | None
    n_second: Count
    policies: list[UnderPolicy]
