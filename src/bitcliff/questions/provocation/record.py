"""The record of `bitcliff provoke`: what each search found, and the figures made of it."""

from typing import Annotated

from pydantic import Field

from bitcliff.questions.runtime_description import RuntimeDescription
from bitcliff.record.measurement import Measurement
from bitcliff.record.part import Part
from bitcliff.record.schema import Provenance, SubjectInfo
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Count, Rate
from bitcliff.types.settings import ProvokeSettings

GRADIENTS, SEARCH, EVOLUTION = "gradients", "random search", "CMA-ES"
RANDOM, CONTROL = "at random", "float, nudged"
METHODS = {
    GRADIENTS: "down the quantized lead while float's is held, then across float's gradient",
    SEARCH: "changes at random, kept where they help; no gradients: the independent check",
    EVOLUTION: "CMA-ES over the degrees of all corruptions, from the best of some at random",
    RANDOM: "inputs of the set as they fall, at equal cost: the baseline",
    CONTROL: "the first search, float nudged by a millionth in place of the format: must find none",
}
NUDGES = 3
"""Nudged inputs with which a failure is tried again."""

Class = Annotated[int, Field(ge=0)]


class Parent(Part):
    """Observed: one example as it is. Leads are of `wanted`, logits; negative: it is not decided.

    Attributes:
        wanted: its label, or without labels what float decides. float_lead, quantized_lead: None
            where the network fails numerically.
    """

    id: str
    wanted: Class
    float_lead: float | None
    quantized_lead: float | None


class Failure(Part):
    """Observed: an input on which float is right and the quantized network is not, run again as
    everything is.

    Attributes:
        float_lead, quantized_lead: of what is wanted, logits. prediction: the quantized network's.
        distance: from its parent, in the set's measure. stays: in how many of `NUDGES` nudged
            copies the format is wrong too; None where inputs cannot be nudged. told: what was
            changed, in words. images: parent, changed and their difference, as data URIs, where
            they are kept.
        texts: parent and changed, of texts.
    """

    float_lead: float
    quantized_lead: float
    prediction: Class
    distance: float
    stays: Count | None
    told: str
    images: list[str] = Field(default_factory=list)
    texts: list[str] = Field(default_factory=list)


class Attempt(Part):
    """Observed: one search on one example.

    Attributes:
        passes: spent. failure: what it found. lost: it found one that was none when run again.
    """

    passes: Count
    failure: Failure | None = None
    lost: bool = False


class Searched(Part):
    """Observed: one set around all examples that can fail.

    Attributes:
        attempts: by method, on each of those examples in order.
    """

    within: str
    words: str
    attempts: dict[str, list[Attempt]]


class Tried(Part):
    """Observed: one input of a second set, run in the format.

    Attributes:
        float_lead, quantized_lead: of what float decides, logits; None where the format fails
            numerically. prediction: the quantized network's; None likewise. flagged: by the guard.
    """

    id: str
    decided: Class
    float_lead: float
    quantized_lead: float | None
    prediction: Class | None
    flagged: bool = False


class Ranked(Part):
    """Observed: a second set, of which float ran on all, and the format on some.

    Attributes:
        within: as it was given. n: its size. led: of these, how many float decides by delta, which
            are ranked. fitted: failures among the examples that the ranking was fitted to; 0: too
            few, and it is by float's lead alone. tried: what was run in the format, by id, each
            once. first, by_lead, at_random: ids of as many that rank first, that have the least
            lead, and that are drawn.
    """

    within: str
    data: str
    sha256: str
    n: Count
    led: Count
    fitted: Count
    tried: list[Tried]
    first: list[str] = Field(min_length=1)
    by_lead: list[str]
    at_random: list[str]


class AsTheyAre(Part):
    """Observed: float and a format on examples as they are.

    Attributes:
        numerics: the format that is set against float. delta: by which float must lead.
    """

    provenance: Provenance
    subject: SubjectInfo
    numerics: RuntimeDescription
    settings: ProvokeSettings
    delta: float = Field(gt=0)
    parents: list[Parent] = Field(min_length=1)


class ProvocationObserved(AsTheyAre):
    """All that a measurement observed.

    Attributes:
        guard: in words, the one that failing inputs must get past; None: there was none.
    """

    guard: str | None = None
    searched: list[Searched]
    ranked: list[Ranked] = Field(default_factory=list)


class MethodFigures(Part):
    """Of one search.

    Attributes:
        found: of the examples that can fail. passes: in all. stays: of failures, those of which the
            format is wrong in all nudged copies; None where nothing can be nudged. change: from
            random inputs to this search, an example that fails being lost; Holm-adjusted over all
            searches; None of controls. times: as many as at random; None where either found none.
        median_passes: to a failure.
    """

    method: str
    found: Rate
    passes: int
    stays: Rate | None
    change: PairedChange | None
    times: float | None
    median_passes: float | None
    not_confirmed: int


class SetFigures(Part):
    """Of one set. provoked: of the examples that can fail, those that any search makes fail."""

    within: str
    provoked: Rate
    methods: list[MethodFigures]


class RankedFigures(Part):
    """Of one second set: inputs on which float decides by delta and the format otherwise.

    Attributes:
        first: of those that rank first. by_lead: of as many with the least lead in float.
            at_random: of as many that are drawn. times: of the first, as many as at random; None
            where either has none. p_value: of Fisher's exact test that more fail of the first than
            of those drawn that are not among them. p_holm: over all second sets.
    """

    within: str
    n: Count
    led: Count
    first: Rate
    by_lead: Rate
    at_random: Rate
    times: float | None
    p_value: float
    p_holm: float | None = None


class FiguresAsTheyAre(Part):
    """Figures of the examples as they are.

    Attributes:
        right: of all examples, those that float is right of. led: those it is right of by delta.
        failing: of the latter, those that the quantized network has wrong as they are.
    """

    right: Rate
    led: Rate
    failing: Rate


class ProvocationFigures(FiguresAsTheyAre):
    """Figures of a measurement.

    Attributes:
        provoked: of the examples that can fail, those that any search makes fail in any set.
        most_led: ids of those, by float's lead on the failing input, the largest first.
    """

    provoked: Rate
    sets: list[SetFigures]
    most_led: list[str]
    ranked: list[RankedFigures] = Field(default_factory=list)


Provocation = Measurement[ProvocationObserved, ProvocationFigures]
