"""The record of `bitcliff batchmates` on disk: its figures worked out anew when it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bitcliff.errors import InputError
from bitcliff.questions.batchmates.record import (
    BATCHMATES_NAME,
    BATCHMATES_VERSION,
    Batchmates,
    BatchmatesObserved,
)
from bitcliff.questions.batchmates.statistics import batchmates_of, problems
from bitcliff.record.files import one_line, shown
from bitcliff.record.store import check_figures, json_text, parse_json, valid

# Its figures are by rules of before (the interval of a change).
_SAME_OBSERVATIONS = "2.0"
_OLDER = "1.0"


def batchmates_json(record: Batchmates) -> str:
    """The record as JSON text: what was observed, then the figures.

    Raises:
        NumericError: it holds a NaN or infinity.
    """
    figures = record.figures.model_dump()
    return json_text(
        {
            "schema_version": BATCHMATES_VERSION,
            **record.observed.model_dump(),
            "figures": figures,
        }
    )


def read_batchmates(run: Path) -> Batchmates:
    """The record in a run directory, its figures worked out anew.

    Raises:
        InputError: missing, damaged, of another version, victims that contradict each other, or
            figures that are not theirs.
    """
    file = run / BATCHMATES_NAME
    fields = parse_json(_read(file), shown(file), BATCHMATES_NAME)
    version = fields.pop("schema_version")
    if version not in (BATCHMATES_VERSION, _SAME_OBSERVATIONS, _OLDER):
        raise InputError(
            f"{shown(file)}: schema_version {one_line(str(version))}, but this Bitcliff reads "
            f"{BATCHMATES_VERSION}: run it again"
        )
    stored = fields.pop("figures", None)
    observed = valid(
        BatchmatesObserved,
        fields if version != _OLDER else _observed_of_1x(fields, file),
        shown(file),
    )
    for problem in problems(observed):
        raise InputError(f"{shown(file)}: inconsistent record: {one_line(problem)}")
    record = batchmates_of(observed)
    if version == BATCHMATES_VERSION:
        check_figures(stored, record.figures.model_dump(), shown(file))
    return record


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(
            f"{shown(file)}: cannot be read: {error.strerror}; give a run of `bitcliff batchmates`"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{shown(file)}: not a whole JSON file: not UTF-8 text") from error


_RENAMED = {
    "twin": "reference_runtime",
    "planted_flips": "positive_control",
    "twin_alone": "reference_alone",
    "twin_random": "reference_random",
    "picture": "image",
    "companion_picture": "companion_image",
}


def _observed_of_1x(fields: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """What 1.0 observed, under today's names, without its figures."""
    try:
        subject = dict(fields["subject"])
        uncovered = subject.pop("coverage")["uncovered"]
        points = [{"site": one["name"].partition(":")[0], **one} for one in subject["points"]]
        figures = {"accuracy_alone", "as_float_alone", "ours_changed", "situations", "victims"}
        return {
            **_renamed({key: one for key, one in fields.items() if key not in figures}),
            "subject": {**subject, "points": points, "uncovered": uncovered},
            "victims": [_victim(one) for one in fields["victims"]],
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{shown(file)}: not a Bitcliff record of schema {_OLDER}: {one_line(str(error))}"
        ) from error


def _victim(victim: Mapping[str, Any]) -> dict[str, Any]:
    checked = dict(victim["checked"])
    reference = checked.pop("twin")
    return {
        **_renamed(victim),
        "baseline": _renamed(victim["baseline"]),
        "checked": {**checked, "reference": reference},
    }


def _renamed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(key, key): one for key, one in fields.items()}
