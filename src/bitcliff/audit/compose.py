"""From what was measured to the record."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from bitcliff import __version__
from bitcliff.audit.evaluator import margins
from bitcliff.audit.likelihood import with_float
from bitcliff.audit.outcomes import graded, predictions_of
from bitcliff.audit.pictures import compared
from bitcliff.audit.prepare import Prepared
from bitcliff.audit.reading import reading_of, scored_by_words
from bitcliff.audit.schedule import Schedule
from bitcliff.points import Plan
from bitcliff.points.final_activation import FinalActivation
from bitcliff.points.plan import Missed
from bitcliff.record import (
    Measured,
    Observed,
    PointRow,
    Provenance,
    Record,
    SubjectInfo,
    Table,
    Uncovered,
    record_of,
)
from bitcliff.record.arrays import classes
from bitcliff.record.figures import at_risk
from bitcliff.record.provenance import (
    cpu_flags,
    now,
    package_versions,
    platform_name,
    revision,
)
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.subject import Examples, Subject

# Examples at risk whose image or text the record keeps.
_SHOWN = 24


def record_of_schedule(schedule: Schedule, started: str, command: str | None) -> Record:
    """The record of what a schedule has measured; every figure in it follows from the outcomes.

    Args:
        started: when, UTC, ISO 8601. command: the command line; None: this process's.
    """
    prepared, done = schedule.prepared, list(schedule.done.values())
    incidents = schedule.evaluator.attachment.incidents
    strays = incidents.strays.union(*(measured.strays for measured in done))
    settings = prepared.settings.changed(batch_size=schedule.evaluator.batch_size)
    return record_of(
        Observed(
            provenance=provenance_of(
                prepared.subject, prepared.examples, settings.seed, started, command
            ),
            subject=subject_info(
                prepared.subject,
                prepared.examples,
                prepared.points,
                strays,
                prepared.n_classes,
                prepared.evaluator.attachment.final,
            ),
            settings=settings,
            examples=example_table(prepared, done),
            conditions=done,
            folding=prepared.folding,
        )
    )


def example_table(prepared: Prepared, done: Sequence[Measured]) -> Table:
    """The examples and what float predicts of each, with those most at risk to look at."""
    examples, in_float = prepared.examples, prepared.in_float
    found = margins(in_float.logits, prepared.evaluator.reference)
    table = Table(
        ids=list(examples.ids),
        labels=None if examples.labels is None else classes(examples.labels.tolist()),
        prediction=classes(predictions_of(in_float)),
        margin=found.where(in_float.finite, float("nan")).numpy(),
        score=graded(in_float),
    )
    first = at_risk(table, done)[:_SHOWN]
    shown, place_of = set(first), {name: place for place, name in enumerate(examples.ids)}
    kept: dict[str, dict[str, Any]] = {
        name: {k: every[place] for place, k in enumerate(examples.ids) if k in shown}
        for name, every in (
            ("thumbnails", examples.thumbnails),
            ("texts", examples.texts),
            ("waves", examples.waves),
        )
        if every is not None
    }
    drawn, pictures = compared(prepared, done, [place_of[name] for name in first])
    kept["thumbnails"] = kept.get("thumbnails", {}) | drawn
    table = with_float(prepared, table.model_copy(update=kept | {"pictures": pictures}))
    reading = reading_of(prepared)
    return table if reading is None else reading.table(table)


def provenance_of(
    subject: Subject, examples: Examples, seed: int, started: str, command: str | None
) -> Provenance:
    """How these numbers come to be, ending now."""
    return Provenance(
        bitcliff=__version__,
        python=sys.version.split()[0],
        packages=package_versions(),
        revision=revision(),
        seed=seed,
        command=command if command is not None else shlex.join(sys.argv),
        started=started,
        finished=now(),
        platform=platform_name(),
        cpu_flags=cpu_flags(),
        threads=torch.get_num_threads(),
        weights_sha256=subject.weights_sha256,
        data_sha256=examples.sha256,
        runs_user_code=subject.runs_user_code,
    )


def subject_info(
    subject: Subject,
    examples: Examples,
    plan: Plan,
    strays: Iterable[str],
    classes: int,
    final: FinalActivation = "none",
) -> SubjectInfo:
    """The model and the data, with what `plan` does not cover; `classes`: how many outputs."""
    task = task_of(subject.module)
    known = [subject.class_names, examples.class_names]
    # Of a threshold others may be better names; as in float, or not, is nobody's class.
    known.insert(0 if isinstance(task, AgainstFloat) else len(known), task.decisions)
    named = [names for names in known if names]
    # Names that are not the outputs' own would mislead.
    names = next((list(names) for names in named if len(names) == classes), None)
    return SubjectInfo(
        model=subject.name,
        data=examples.name,
        n_examples=len(examples),
        n_available=examples.n_available,
        n_classes=classes,
        labelled=examples.labels is not None,
        preprocessing=examples.preprocessing,
        labelling=examples.labelling,
        class_names=names,
        points=[
            PointRow(
                name=point.name,
                site=point.site,
                kind=point.kind,
                shape=list(point.shape),
                macs=point.macs,
                quantized=point.quantized,
                reason=point.reason,
            )
            for point in plan.seen
        ],
        uncovered=_uncovered(plan, strays),
        black_box=subject.black_box,
        output=subject.output if subject.other_outputs else None,
        other_outputs=list(subject.other_outputs),
        final_activation=final,
        task=task.name,
        decision=task.words,
        by_words=scored_by_words(subject, examples.inputs),
    )


def _uncovered(plan: Plan, strays: Iterable[str]) -> list[Uncovered]:
    """What is not covered; `strays` were met only after discovery."""
    missed = list(plan.missed)
    missed += [Missed(name, "call", "met only after discovery") for name in sorted(strays)]
    return [Uncovered(name=m.name, kind=m.kind, reason=m.reason) for m in missed]
