"""report.html: one file that works offline, runs nothing and fetches nothing."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bitcliff.record import Record
from bitcliff.record.decisions import measured, scored_by
from bitcliff.record.measurement import Measurement
from bitcliff.report import view
from bitcliff.report.basis import (
    batches_note,
    effort_note,
    output_note,
    partial_notes,
    points_are,
    same_text,
    warnings,
)
from bitcliff.report.drawings import squares
from bitcliff.report.figure import figure_plot
from bitcliff.report.filters import FILTERS
from bitcliff.report.finding import find
from bitcliff.report.formatting import class_name, clean, noun
from bitcliff.report.nudge_stability import any_repeated, repeats_sentence
from bitcliff.report.plot import colour_rules
from bitcliff.report.policies import policy_groups
from bitcliff.report.risk import SHOWN, at_risk_cards, by_format, changed_by
from bitcliff.report.section import Section
from bitcliff.report.thumbnails import safe_thumbnail
from bitcliff.verdict import Verdict

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True)
class Sections:
    """What questions add to the page, each where it belongs.

    Attributes:
        deployed: what runs, after the policies. explained: why, where and what to do.
        verification: after it.
    """

    deployed: Sequence[Section] = ()
    explained: Sequence[Section] = ()
    verification: Sequence[Section] = ()


def render_html(record: Record, verdict: Verdict, sections: Sections) -> str:
    """The whole page as text. The same record and verdict give the same bytes."""
    return render_page("report.html.j2", {**_context(record, verdict), "sections": sections})


def render_page(template: str, context: dict[str, Any]) -> str:
    """A page in the house style, as text.

    Everything in `context` is escaped; the content security policy allows the one style block
    (by its hash) and images held in the page, and nothing else.
    """
    from markupsafe import Markup

    style = colour_rules() + _resource("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Ours, not data: the hash of the policy is over these very bytes, so they must not be escaped.
    trusted = {"style": Markup(style), "style_hash": digest}  # noqa: S704
    return str(_environment().get_template(template).render(**trusted, **context))


def render_measurement(
    template: str, record: Measurement[Any, Any], version: str, own: dict[str, Any]
) -> str:
    """The page of a measurement beside a run's: with what all of these show.

    Args:
        version: of its records. own: what this one shows besides.
    """
    observed = record.observed
    context = {
        "observed": observed,
        "figures": record.figures,
        "squares": squares,
        "safe_thumbnail": safe_thumbnail,
        "class_name": partial(class_name, observed.subject),
        "facts": view.provenance_lines(observed.provenance, version),
    }
    return render_page(template, {**context, **own})


@cache  # it keeps its templates compiled, and `assess --explain` writes two pages
def _environment() -> "jinja2.Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


def _resource(name: str) -> str:
    """A file of the frame, or a question's own, whose name begins with `questions/`."""
    folder = "" if name.startswith("questions/") else "report/templates"
    return files("bitcliff").joinpath(folder, name).read_text(encoding="utf-8")


def _context(record: Record, verdict: Verdict) -> dict[str, Any]:
    finding = find(record)
    opening, sentence = view.split_sentence(verdict)
    subject = record.subject
    return {
        "verdict": verdict,
        "opening": opening,
        "sentence": sentence,
        "finding": finding,
        "labelled": subject.labelled,
        "model": clean(subject.model),
        "data": clean(subject.data),
        "facts": view.facts(record),
        "cards": view.cards(record, finding),
        "meaning": view.meaning(record, finding),
        # A format or a runtime allocates no bits.
        "figure": figure_plot(record) if any(p.mean_bits for p in record.policies) else None,
        "black_box": subject.black_box,
        "changed_by": changed_by(record),
        "groups": policy_groups(record),
        "statuses": {one.policy: one.status for one in verdict.judgements},
        "same": {policy.name: same_text(record, policy) for policy in record.policies},
        "worst_class": partial(view.worst_class_text, subject),
        "float_accuracy": record.float_.accuracy,
        "float_worst": record.float_.worst_class,
        "risk": at_risk_cards(record),
        "by_format": by_format(record),
        "n_risk": len(record.at_risk),
        "n_examples": subject.n_examples,
        "risk_shown": SHOWN,
        "noun": noun(record),
        "one": noun(record, 1),
        "points": subject.points,
        "starved": view.mean_bits_at(record, finding),
        "mixes": view.mixes_found(record),
        "coverage": record.coverage,
        "points_are": points_are(record),
        "uncovered": subject.uncovered,
        "searched": view.searched(record),
        "bought": effort_note(record),
        "partial": partial_notes(record),
        "batches": batches_note(record),
        "warnings": warnings(record),
        "output": output_note(record),
        "any_repeated": any_repeated(record),
        "any_score": any(one.score is not None for one in record.policies),
        "measured": measured(record.subject),
        "scored_by": scored_by(record.subject),
        "pictures": clean(record.table.pictures, 240),
        "float_score": record.float_.score,
        "float_errors": record.float_.errors,
        "float_likelihood": record.float_.likelihood,
        "repeats": repeats_sentence(record, finding.worst),
        "settings": view.settings_lines(record),
        "provenance": view.provenance_lines(record.provenance, record.schema_version),
        "commands": [
            clean(command, 2000)
            for command in (
                record.provenance.command,
                *(record.explained.commands if record.explained else ()),
            )
        ],
        "runs_user_code": record.provenance.runs_user_code,
    }
