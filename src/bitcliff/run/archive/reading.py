"""What a run folder holds, as rows: its record read and its figures worked out anew."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bitcliff import __version__
from bitcliff.errors import InputError
from bitcliff.questions.guard.statistics import chosen
from bitcliff.questions.guard.store import GUARD
from bitcliff.questions.isolation.store import ISOLATION
from bitcliff.questions.provocation.record import ProvocationFigures
from bitcliff.questions.provocation.statistics import judged
from bitcliff.questions.provocation.store import PROVOKE
from bitcliff.questions.provocation.universal.record import UniversalFigures
from bitcliff.questions.provocation.universal.store import UNIVERSAL
from bitcliff.record import PolicyResult, Record
from bitcliff.record.files import one_line
from bitcliff.record.measurement import MeasurementKind
from bitcliff.record.pairs import RESULT
from bitcliff.record.schema import Provenance, SubjectInfo
from bitcliff.record.store import check_figures
from bitcliff.record.summary import Figure, Run, figure_of
from bitcliff.run.run_directory import (
    CONFIG,
    commands_in,
    finished_measurement,
    finished_record,
)
from bitcliff.stats import rate
from bitcliff.types.rate import Rate
from bitcliff.types.settings import IN_FLOAT
from bitcliff.verdict import Verdict, judge

# Answers that a command of its own has added to an assessment.
_ADDED = {"verification": "verify"}


def run_folders(roots: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Every folder at or below these that holds a run, and the command whose run it is.

    Raises:
        InputError: one of them is no folder, or cannot be read.
    """
    for root in roots:
        if not root.is_dir():
            what = "not a folder" if root.exists() else "no such folder"
            raise InputError(f"{root}: {what}; give folders that hold runs, such as runs")
        for folder, below, files in os.walk(root, onerror=_unreadable):
            below.sort()
            for command in commands_in(Path(folder), set(files))[:1]:
                yield Path(folder), command


def mark_of(folder: Path) -> str:
    """Changes whenever what would be read there does: the bytes of the records, what lies beside
    them, and the Bitcliff that reads them."""
    digest = hashlib.sha256(__version__.encode())
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            digest.update(b"\0" + os.fsencode(file.name) + b"\0")
            if file.suffix == ".json":
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def read_run(folder: Path, command: str) -> Run:
    """The run in a folder; one that is refused says why, and has nothing else."""
    try:
        return _READERS[command](folder)
    except InputError as error:
        return Run(str(folder), command, refused=one_line(str(error), 400))


def _unreadable(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _assessed(folder: Path) -> Run:
    record = finished_record(folder)
    verdict = judge(record, record.settings.max_drop)
    also = [name for key, name in _ADDED.items() if key in record.answers]
    also += ["explain"] if record.explained else []
    return _run(
        folder,
        "diff" if record.settings.compared else "assess",
        record.provenance,
        record.subject,
        tuple(_conditions(record, verdict)),
        verdict.status,
        ", ".join(also),
    )


def _conditions(record: Record, verdict: Verdict) -> Iterator[Figure]:
    in_float, statuses = record.float_, {one.policy: one.status for one in verdict.judgements}
    if in_float.accuracy is not None:
        yield figure_of(IN_FLOAT, "right", in_float.accuracy)
    for policy in record.policies:
        yield _condition(policy, statuses.get(policy.name))


def _condition(policy: PolicyResult, status: str | None) -> Figure:
    counted = "as in float" if policy.accuracy is None else "right"
    return figure_of(
        policy.name,
        counted,
        policy.accuracy or policy.agreement,
        policy.change,
        threat=policy.threat,
        numerics=policy.runtime or policy.condition.numerics,
        mean_bits=policy.mean_bits,
        verdict=status,
    )


def _guarded(folder: Path) -> Run:
    record = finished_measurement(folder, GUARD)
    observed, figures = record.observed, record.figures
    asked = chosen(observed.settings)
    at = next(one for one in figures.guards if one.name == asked).at
    lost = figures.lost[2]
    rows = {"lost by quantization": lost, "flagged": at.cost, "lost, not flagged": at.missed}
    return _run(
        folder,
        "guard",
        observed.provenance,
        observed.subject,
        tuple(figure_of(x, x, one, numerics=observed.numerics) for x, one in rows.items()),
        "inconclusive" if at.flags == "all" else None,
    )


def _isolated(folder: Path) -> Run:
    record = finished_measurement(folder, ISOLATION)
    observed, figures = record.observed, record.figures
    proof, runtime = observed.proof, observed.runtime.name
    rows = [
        figure_of(
            one.name,
            "decided otherwise than alone",
            one.flips,
            one.change,
            threat="company",
            numerics=runtime if proof is None else proof.numerics,
        )
        for one in figures.situations
    ]
    status = {"proved": "pass", "counterexample": "fail", "open": "inconclusive"}[figures.status]
    about = observed.provenance, observed.subject
    return _run(folder, "isolate", *about, tuple(rows), status)


def _provoked(folder: Path) -> Run:
    def rows(figures: ProvocationFigures) -> Iterator[tuple[str, str, Rate, str]]:
        for near in figures.sets:
            yield near.within, "made to fail", near.provoked, "input"
        for other in figures.ranked:
            yield other.within, "wrong of the first ranked", other.first, "none"

    return _of_provocation(folder, PROVOKE, rows)


def _scanned(folder: Path) -> Run:
    def rows(figures: UniversalFigures) -> Iterator[tuple[str, str, Rate, str]]:
        yield "one trigger", "turned to one class", figures.provoked, "input"

    return _of_provocation(folder, UNIVERSAL, rows)


def _of_provocation(
    folder: Path,
    kind: MeasurementKind[Any, Any],
    rows: Callable[[Any], Iterator[tuple[str, str, Rate, str]]],
) -> Run:
    """`rows`: beside the examples as they are: name, what counts, how many, whose work it is."""
    record = finished_measurement(folder, kind)
    observed, figures = record.observed, record.figures
    everything = [("as they are", "wrong in the format alone", figures.failing, "none")]
    everything += rows(figures)
    found = tuple(
        figure_of(name, counted, rate, threat=threat, numerics=observed.numerics.name)
        for name, counted, rate, threat in everything
    )
    limit = observed.settings.max_provoked
    status = None if limit is None else judged(figures.provoked, limit)
    return _run(folder, kind.command, observed.provenance, observed.subject, found, status)


def _run(
    folder: Path,
    command: str,
    source: Provenance,
    subject: SubjectInfo,
    figures: tuple[Figure, ...],
    verdict: str | None,
    also: str = "",
) -> Run:
    return Run(
        str(folder),
        command,
        also,
        subject.model,
        subject.data,
        subject.n_examples,
        source.weights_sha256,
        source.data_sha256,
        source.seed,
        source.bitcliff,
        source.started,
        source.finished,
        verdict,
        figures=figures,
    )


def _trained(folder: Path) -> Run:
    if not (folder / RESULT).exists():
        raise InputError(
            f"{folder}: its training has not ended; go on with `bitcliff train … --resume`"
        )
    config, result = (_object(folder / name) for name in (CONFIG, RESULT))
    rows = tuple(_rates(result, "", str(folder / RESULT)))
    return Run(
        str(folder),
        "train",
        str(result.get("kind", "")),
        str(config.get("model", "")),
        str(config.get("data", "")),
        max((row.n for row in rows), default=None),
        figures=rows,
    )


def _object(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not a whole JSON file: {one_line(str(error))}") from error
    if not isinstance(found, dict):
        raise InputError(f"{file}: not what a training writes")
    return found


def _rates(node: Any, name: str, source: str) -> Iterator[Figure]:
    """Every rate in what a training has found, by the names above it; its interval checked."""
    if isinstance(node, list):
        for number, one in enumerate(node):
            yield from _rates(one, f"{name} {_entry_name(one, number)}".strip(), source)
        return
    if not isinstance(node, dict):
        return
    if node.keys() != Rate.model_fields.keys():
        for key, one in node.items():
            more = "" if key in ("results", "cells") else key
            yield from _rates(one, f"{name} {more}".strip(), source)
        return
    try:
        found = Rate.model_validate(node)
        anew = rate(found.k, found.n)
    except (ValidationError, InputError) as error:
        raise InputError(f"{source}: {name}: no share of a count") from error
    check_figures(node, anew.model_dump(), f"{source}: {name}")
    words, _, counted = name.rpartition(" ")
    threat = "co-trained" if words.split()[-1:] in (["robust"], ["brittle"]) else "none"
    counted = "right" if counted == "accuracy" else counted
    yield figure_of(words or name, counted, found, threat=threat)


def _entry_name(one: Any, number: int) -> str:
    """What tells an entry of a list from the others."""
    if not isinstance(one, dict):
        return str(number)
    if "seed" in one:
        return f"seed-{one['seed']}"
    return " ".join(str(one[key]) for key in ("network", "policy") if key in one) or str(number)


_READERS: Mapping[str, Callable[[Path], Run]] = {
    "assess": _assessed,
    "guard": _guarded,
    "isolate": _isolated,
    "batchmates": _isolated,
    PROVOKE.command: _provoked,
    UNIVERSAL.command: _scanned,
    "train": _trained,
}
