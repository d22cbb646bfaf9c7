"""The section on inputs at risk: how margins shrink, and what those at risk have in common."""

from functools import partial
from typing import Any

from bitcliff.questions.features import HEADINGS
from bitcliff.questions.inputs.plot import margins_plot
from bitcliff.questions.inputs.record import InputsAtRisk, InputsObserved, PolicyRisk
from bitcliff.questions.inputs.wording import answer, differs, effect_text
from bitcliff.record import Record
from bitcliff.report.formatting import class_name, noun
from bitcliff.report.section import Section
from bitcliff.report.thumbnails import safe_thumbnail


def inputs_section(record: Record, part: InputsAtRisk) -> Section:
    """The part as a section of the report."""
    return Section(
        key="inputs",
        question="Which inputs are at risk, and what have they in common?",
        finding=_finding(record, part),
        data={
            "part": part,
            "noun": noun(record),
            "labelled": record.subject.labelled,
            "blocks": [_block(record, part, risk) for risk in part.policies],
            "measured": {one.key: one.measured for one in part.features},
            "tests": sum(c.p_value is not None for r in part.policies for c in r.comparisons),
            "headings": HEADINGS,
            "differs": differs,
            "effect": effect_text,
            "class_name": partial(class_name, record.subject),
        },
    )


def _finding(record: Record, part: InputsAtRisk) -> str:
    """The first policy's answer, and where it tells nothing apart that of the first which does."""
    telling = [risk for risk in part.policies if any(map(differs, risk.comparisons))]
    shown = part.policies[:1]
    if telling and telling[0] not in shown:
        shown = [*shown, telling[0]]
    return " ".join(answer(record, risk) for risk in shown)


def _block(record: Record, part: InputsAtRisk, risk: PolicyRisk) -> dict[str, Any]:
    """All about one policy; no features where there is nothing to compare."""
    comparable = 0 < risk.at_risk.k < risk.at_risk.n
    place_of = {name: place for place, name in enumerate(record.table.ids)}
    worst = [record.examples[place_of[name]] for name in risk.worst]
    observed = record.observed_by("inputs", InputsObserved)
    images = {} if observed is None else observed.images
    return {
        "risk": risk,
        "answer": answer(record, risk),
        "plot": margins_plot(record, part, risk),
        "comparisons": risk.comparisons if comparable else [],
        "classes": _classes(record, risk) if comparable else "",
        "worst": [
            (row, row.outcomes[risk.policy], safe_thumbnail(row.thumbnail or images.get(row.id)))
            for row in worst
        ],
    }


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
