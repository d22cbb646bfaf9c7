"""The section on inputs at risk: how margins shrink, and what those at risk have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

from bitcliff.questions.inputs.plot import margins_plot
from bitcliff.questions.inputs.record import (
    Comparison,
    InputsAtRisk,
    InputsObserved,
    PolicyRisk,
)
from bitcliff.questions.inputs.wording import (
    HEADINGS,
    answer,
    differs,
    effect_text,
    short,
)
from bitcliff.records import ExampleRow, Record
from bitcliff.report.plot import Plot
from bitcliff.report.section import Section
from bitcliff.report.thumbnails import safe_thumbnail
from bitcliff.report.words import (
    NOTHING,
    class_name,
    clean,
    noun,
    p_text,
    rate_interval,
    rate_text,
)


@dataclass(frozen=True)
class PolicyLine:
    """One policy of the table of flips and of the table of margins.

    `changes`: the shares that the first one shows, as text, and their intervals.
    """

    policy: str
    changes: Sequence[tuple[str, str]]
    failures: int
    eroded: str
    quantiles: Sequence[str]
    relative: str


@dataclass(frozen=True)
class FeatureLine:
    """One feature of those at risk against the others."""

    name: str
    measured: str
    n: str
    median_risk: str
    median_safe: str
    effect: str
    p_value: str
    p_holm: str
    differs: bool
    finding: str


@dataclass(frozen=True)
class Worst:
    """One of the examples that lost most margin."""

    id: str
    thumbnail: str | None
    label: str | None
    before: str
    after: str
    margins: str


@dataclass(frozen=True)
class Block:
    """All about one policy; no features where there is nothing to compare."""

    policy: str
    answer: str
    plot: Plot | None
    features: Sequence[FeatureLine]
    classes: str
    worst: Sequence[Worst]


@dataclass(frozen=True)
class Data:
    """What the template lays out."""

    noun: str
    labelled: bool
    reference: str | None
    n_common: int
    lines: Sequence[PolicyLine]
    any_failure: bool
    blocks: Sequence[Block]
    tests: int
    not_measured: Sequence[tuple[str, str]]


def inputs_section(record: Record, part: InputsAtRisk) -> Section:
    """The part as a section of the report."""
    return Section(
        key="inputs",
        question="Which inputs are at risk, and what have they in common?",
        finding=_finding(record, part),
        data=Data(
            noun=noun(record),
            labelled=record.subject.labelled,
            reference=None if part.reference is None else clean(part.reference.model),
            n_common=0 if part.reference is None else part.reference.n_common,
            lines=[_line(risk, part, record.subject.labelled) for risk in part.policies],
            any_failure=any(risk.numeric_failures.k for risk in part.policies),
            blocks=[_block(record, part, risk) for risk in part.policies],
            tests=sum(c.p_value is not None for r in part.policies for c in r.comparisons),
            not_measured=[
                (HEADINGS[one.key].lower(), clean(one.reason)) for one in part.not_measured
            ],
        ),
    )


def _finding(record: Record, part: InputsAtRisk) -> str:
    """The first policy's answer, and where it tells nothing apart that of the first which does."""
    telling = [risk for risk in part.policies if any(map(differs, risk.comparisons))]
    shown = part.policies[:1]
    if telling and telling[0] not in shown:
        shown = [*shown, telling[0]]
    return " ".join(answer(record, risk) for risk in shown)


def _line(risk: PolicyRisk, part: InputsAtRisk, labelled: bool) -> PolicyLine:
    found = risk.erosion
    rates = [risk.at_risk, risk.lost, risk.gained, risk.other_wrong] if labelled else []
    rates.append(risk.flipped)
    rates += [] if part.reference is None else [risk.transitory, risk.transitory_of_all]
    values = () if found is None else (found.p05, found.p25, found.median, found.p75, found.p95)
    return PolicyLine(
        policy=clean(risk.policy),
        changes=[(rate_text(rate), rate_interval(rate)) for rate in rates],
        failures=risk.numeric_failures.k,
        eroded=rate_text(risk.eroded),
        quantiles=[short(value) for value in values] or [NOTHING] * 5,
        relative=NOTHING
        if found is None or not part.margin_scale
        else short(found.median / part.margin_scale),
    )


def _block(record: Record, part: InputsAtRisk, risk: PolicyRisk) -> Block:
    measured = {one.key: clean(one.measured, 300) for one in part.features}
    comparable = 0 < risk.at_risk.k < risk.at_risk.n
    place_of = {name: place for place, name in enumerate(record.table.ids)}
    return Block(
        policy=clean(risk.policy),
        answer=answer(record, risk),
        plot=margins_plot(record, part, risk),
        features=[_feature(c, measured[c.key]) for c in risk.comparisons] if comparable else [],
        classes=_classes(record, risk) if comparable else "",
        worst=[_worst(record, risk, record.examples[place_of[name]]) for name in risk.worst],
    )


def _feature(one: Comparison, measured: str) -> FeatureLine:
    return FeatureLine(
        name=HEADINGS[one.key],
        measured=measured,
        n=f"{one.n_risk} / {one.n_safe}",
        median_risk=short(one.median_risk),
        median_safe=short(one.median_safe),
        effect=effect_text(one),
        p_value=p_text(one.p_value),
        p_holm=p_text(one.p_holm),
        differs=differs(one),
        finding="no values" if one.p_value is None else "differs" if differs(one) else NOTHING,
    )


def _classes(record: Record, risk: PolicyRisk) -> str:
    """The classes most and least at risk; one of many with a single example says nothing."""
    several = [one for one in risk.classes if one.at_risk.n > 1]
    if len(several) < 2:
        return ""
    shown = several if len(several) <= 6 else [*several[:3], None, *several[-3:]]
    texts = [
        "…"
        if one is None
        else f"{class_name(record.subject, one.label)} {one.at_risk.k} of {one.at_risk.n}"
        for one in shown
    ]
    return "At risk by class: " + ", ".join(texts) + "."


def _worst(record: Record, risk: PolicyRisk, row: ExampleRow) -> Worst:
    outcome, observed = row.outcomes[risk.policy], record.observed_by("inputs", InputsObserved)
    images = {} if observed is None else observed.images
    return Worst(
        id=clean(row.id, 80),
        thumbnail=safe_thumbnail(row.thumbnail or images.get(row.id)),
        label=None if row.label is None else class_name(record.subject, row.label),
        before=class_name(record.subject, row.float_prediction),
        after=class_name(record.subject, outcome.prediction),
        margins=f"margin {short(row.float_margin)} → {short(outcome.margin)}",
    )
