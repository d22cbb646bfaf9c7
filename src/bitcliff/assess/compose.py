"""From what was measured to the record."""

import shlex
import sys
from collections.abc import Iterable, Sequence

import torch

from bitcliff import __version__
from bitcliff.assess.evaluate import Evaluator, Scores, margins
from bitcliff.assess.figures import at_risk, float_figures, policy_figures, with_holm
from bitcliff.assess.measured import Measured, predictions_of
from bitcliff.points import Plan
from bitcliff.points.plan import Missed
from bitcliff.records import (
    Coverage,
    ExampleRow,
    Folding,
    PointRow,
    Provenance,
    Record,
    SubjectInfo,
    Uncovered,
    check_record,
)
from bitcliff.records.provenance import (
    cpu_flags,
    now,
    package_versions,
    platform_name,
    revision,
)
from bitcliff.records.runtimes import RuntimeInfo
from bitcliff.types.settings import AssessSettings
from bitcliff.types.subject import Examples, Subject

# Examples at risk whose picture the record keeps.
_PICTURES = 24


def example_rows(
    examples: Examples, base: Scores, evaluator: Evaluator, done: Sequence[Measured]
) -> list[ExampleRow]:
    """What float said of each example, and what every policy made of it."""
    labels = examples.labels
    found = margins(base.logits, evaluator.reference).tolist()
    predictions = predictions_of(base)
    return [
        ExampleRow(
            id=name,
            label=None if labels is None else int(labels[place]),
            float_prediction=predictions[place],
            float_margin=None if base.failed_at[place] else found[place],
            outcomes={m.name: m.outcomes[place] for m in done if place in m.outcomes},
        )
        for place, name in enumerate(examples.ids)
    ]


def compose_record(
    rows: Sequence[ExampleRow],
    done: Sequence[Measured],
    subject: SubjectInfo,
    settings: AssessSettings,
    provenance: Provenance,
    pictures: Sequence[str] | None,
    folding: Folding | None = None,
    runtimes: Sequence[RuntimeInfo] = (),
) -> Record:
    """The whole record; every figure in it follows from `rows`.

    Raises:
        InputError: the parts contradict each other.
    """
    results = with_holm([policy_figures(rows, measured) for measured in done])
    risky = at_risk(rows, results)
    record = Record(
        provenance=provenance,
        subject=subject,
        settings=settings,
        float=float_figures(rows),
        policies=results,
        at_risk=risky,
        examples=_with_pictures(rows, risky, pictures),
        folding=folding,
        runtimes=list(runtimes),
    )
    check_record(record)
    return record


def _with_pictures(
    rows: Sequence[ExampleRow], risky: Sequence[str], pictures: Sequence[str] | None
) -> list[ExampleRow]:
    if pictures is None:
        return list(rows)
    shown = set(risky[:_PICTURES])
    return [
        row.model_copy(update={"thumbnail": picture}) if row.id in shown else row
        for row, picture in zip(rows, pictures, strict=True)
    ]


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
    subject: Subject, examples: Examples, plan: Plan, strays: Iterable[str], classes: int
) -> SubjectInfo:
    """The model and the data, with the coverage of `plan`; `classes` is the number of outputs."""
    named = [names for names in (subject.class_names, examples.class_names) if names]
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
        class_names=names,
        points=[
            PointRow(
                name=point.name,
                kind=point.kind,
                shape=list(point.shape),
                macs=point.macs,
                quantized=point.quantized,
                reason=point.reason,
            )
            for point in plan.seen
        ],
        coverage=coverage_of(plan, strays),
        black_box=subject.black_box,
    )


def coverage_of(plan: Plan, strays: Iterable[str] = ()) -> Coverage:
    """How much of what was seen is covered; `strays` were met only after discovery."""
    missed = list(plan.missed)
    missed += [Missed(name, "call", "met only after discovery") for name in sorted(strays)]
    # Each call's work counts once, however many of its operands are points.
    work = {point.site: point.macs for point in plan.seen}
    covered = {point.site for point in plan.points}
    total = sum(work.values())
    return Coverage(
        complete=not missed,
        quantized=len(plan.points),
        left_out=len(plan.seen) - len(plan.points),
        macs_share=sum(work[site] for site in covered) / total if total and not missed else None,
        uncovered=[Uncovered(name=m.name, kind=m.kind, reason=m.reason) for m in missed],
    )
