"""A CSV file of paths to images or sounds, with or without labels."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bitcliff.adapters.folders import files_output_count, files_source
from bitcliff.adapters.labels import LabelMap, map_labels
from bitcliff.adapters.source import Source
from bitcliff.adapters.targets import targets_of
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat, Reads
from bitcliff.tasks.continuation import Continuation
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import Subject


def open_table(spec: str, subject: Subject, options: DataOptions) -> Source:
    """Reads the columns path and, if it is there, label. Paths are relative to the table.

    A label is a class, or what another task wants of the image; see `targets_of`.

    Raises:
        InputError: no such columns, an empty field, a missing file, class names that match
            nothing, or a table that is not CSV in UTF-8.
    """
    paths, names = _columns(spec)
    files = [Path(spec).parent / path for path in paths]
    counted = files_output_count(files, subject, spec)
    for line, file in enumerate(files, start=2):
        if not file.is_file():
            raise InputError(f"{spec}, row {line}: no such file: {file}")
    task, mapped = task_of(subject.module), LabelMap({}, None, "")
    if names is not None and isinstance(task, AgainstFloat):
        source = files_source(_distinct(paths), files, None, subject, spec)
        wanted = tuple(names) if isinstance(task.kind, Reads) else None
        if isinstance(task.kind, Continuation):  # float's own decide, and labels score
            return replace(source, wanted=wanted)
        return replace(source, targets=targets_of(task, names, subject, spec), wanted=wanted)
    if names is not None:
        mapped = map_labels(
            list(dict.fromkeys(names)),
            subject.class_names,
            counted,
            f"{spec} (column label)",
            options.label_map,
        )

    labels = None if names is None else [mapped.index[name] for name in names]
    source = files_source(_distinct(paths), files, labels, subject, spec)
    return replace(source, class_names=mapped.class_names, labelling=mapped.how)


def _columns(spec: str) -> tuple[list[str], list[str] | None]:
    try:
        with open(spec, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{spec}: not readable as CSV in UTF-8 ({one_line(error)})") from error
    if "path" not in columns:
        raise InputError(
            f"{spec}: its first row must name the columns path and label (or path alone), "
            "separated by commas"
        )
    required = ["path", "label"] if "label" in columns else ["path"]
    for line, row in enumerate(rows, start=2):
        for column in required:
            if not (row[column] or "").strip():
                raise InputError(f"{spec}, row {line}: {column} is empty")
            if "\0" in row[column]:
                raise InputError(f"{spec}, row {line}: {column} holds a zero byte")
    names = [row["label"].strip() for row in rows] if "label" in columns else None
    return [row["path"].strip() for row in rows], names


def _distinct(paths: Sequence[str]) -> tuple[str, ...]:
    """The paths as ids; one that comes twice is marked by its row."""
    counts = Counter(paths)
    return tuple(
        path if counts[path] == 1 else f"{path} (row {line})"
        for line, path in enumerate(paths, start=2)
    )
