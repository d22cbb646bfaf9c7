"""A CSV file of paths to images or sounds, with or without labels."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bitcliff.adapters.folders import files_output_count, files_source
from bitcliff.adapters.labels import LabelMap, map_labels
from bitcliff.adapters.outputs import class_count
from bitcliff.adapters.source import Source
from bitcliff.adapters.targets import about_pairs, pair_targets, refuse_pairs, targets_of
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat, Reads
from bitcliff.tasks.continuation import Continuation
from bitcliff.tasks.neighbours import Nearest
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import Subject


def open_table(spec: str, subject: Subject, options: DataOptions) -> Source:
    """Reads the columns path and, if it is there, label. Paths are relative to the table.

    A label is a class, or what another task wants of the image; see `targets_of`. Of pairs, `with`
    is the path of the other one, and the label says whether they are the same.

    Raises:
        InputError: no such columns, an empty field, a missing file, class names that match
            nothing, or a table that is not CSV in UTF-8.
    """
    task, mapped = task_of(subject.module), LabelMap({}, None, "")
    kind = task.kind if isinstance(task, AgainstFloat) else None
    pairs = about_pairs(task)
    columns = _columns(spec, ["path", "with", "label"] if pairs else ["path"])
    if "with" in columns:
        refuse_pairs(task, spec)
    paths, names = columns["path"], columns.get("label")
    files = [Path(spec).parent / path for path in paths]
    counted = files_output_count(files, subject, spec)
    _check_existing(files, spec)
    if names is not None and pairs:
        others = columns["with"]
        beside = [Path(spec).parent / path for path in others]
        _check_existing(beside, spec)
        partners = files_source(_distinct(others), beside, None, subject, spec)
        where = [f"{spec}, row {line}" for line in range(2, len(names) + 2)]
        source = files_source(_distinct(paths), files, None, subject, spec)
        return replace(source, targets=pair_targets(partners, names, subject, where))
    if names is not None and isinstance(task, AgainstFloat) and not isinstance(kind, Nearest):
        source = files_source(_distinct(paths), files, None, subject, spec)
        wanted = tuple(names) if isinstance(kind, Reads) else None
        if isinstance(kind, Continuation):  # float's own decide, and labels score
            return replace(source, wanted=wanted)
        return replace(source, targets=targets_of(task, names, subject, spec), wanted=wanted)
    if names is not None:
        known = list(dict.fromkeys(names))
        mapped = map_labels(
            known,
            subject.class_names,
            class_count(subject, known, counted),
            f"{spec} (column label)",
            options.label_map,
        )

    labels = None if names is None else [mapped.index[name] for name in names]
    source = files_source(_distinct(paths), files, labels, subject, spec)
    return replace(source, class_names=mapped.class_names, labelling=mapped.how)


def _check_existing(files: Sequence[Path], spec: str) -> None:
    for line, file in enumerate(files, start=2):
        if not file.is_file():
            raise InputError(f"{spec}, row {line}: no such file: {file}")


def _columns(spec: str, needed: Sequence[str]) -> dict[str, list[str]]:
    """By their names, those that are needed and, if they are there, label and with."""
    try:
        with open(spec, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{spec}: not readable as CSV in UTF-8 ({one_line(error)})") from error
    if lacking := [name for name in needed if name not in columns]:
        names = "path, with and label" if len(needed) > 1 else "path and label (or path alone)"
        raise InputError(
            f"{spec}: its first row must name the columns {names}, separated by commas; it lacks "
            f"{lacking[0]}"
        )
    if not rows:
        raise InputError(f"{spec}: holds no examples")
    read = list(dict.fromkeys([*needed, *(one for one in ("label", "with") if one in columns)]))
    for line, row in enumerate(rows, start=2):
        for column in read:
            if not (row[column] or "").strip():
                raise InputError(f"{spec}, row {line}: {column} is empty")
            if "\0" in row[column]:
                raise InputError(f"{spec}, row {line}: {column} holds a zero byte")
    return {column: [row[column].strip() for row in rows] for column in read}


def _distinct(paths: Sequence[str]) -> tuple[str, ...]:
    """The paths as ids; one that comes twice is marked by its row."""
    counts = Counter(paths)
    return tuple(
        path if counts[path] == 1 else f"{path} (row {line})"
        for line, path in enumerate(paths, start=2)
    )
