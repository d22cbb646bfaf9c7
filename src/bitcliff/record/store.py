"""Records on disk: every figure worked out anew when one is read, and a file whose figures are not
those of its outcomes refused."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from bitcliff.errors import InputError, NumericError
from bitcliff.record.files import one_line, shown, write_text_atomic
from bitcliff.record.migration import OLDER_VERSIONS, observed_of_1x
from bitcliff.record.part import Part
from bitcliff.record.problems import problems
from bitcliff.record.record import AnswerKind, Record, record_of, with_answer
from bitcliff.record.schema import SAME_OBSERVATIONS, SCHEMA_VERSION, Observed

RECORD_NAME = "record.json"
# Relative, and absolute near zero: what another version of a library may differ by.
TOLERANCE = 1e-6

Kind = TypeVar("Kind", bound=Part)


def write_record(record: Record, path: str | os.PathLike[str]) -> None:
    """Write the record as JSON, whole or not at all; a directory gets `record.json` inside.

    Raises:
        InputError: the file cannot be written.
        NumericError: the record holds a NaN or infinity, which JSON cannot carry.
    """
    target = Path(path)
    write_text_atomic(target / RECORD_NAME if target.is_dir() else target, record_json(record))


def record_json(record: Record) -> str:
    """The record as JSON text, ending in a newline: what was observed, then the figures.

    Raises:
        NumericError: the record holds a NaN or infinity.
    """
    answers = record.answers.items()
    return json_text(
        {
            "schema_version": SCHEMA_VERSION,
            **_plain(record.observed),
            "answers": {key: _plain(answer.observed) for key, answer in answers},
            "figures": _figures_of(record),
        }
    )


def json_text(fields: Mapping[str, Any]) -> str:
    """A JSON object as text, one field a line and one item of a list of objects, in their order.

    Raises:
        NumericError: it holds a NaN or infinity.
    """
    try:
        lines = [f"{_dumps(key)}: {_one_item_a_line(value)}" for key, value in fields.items()]
    except ValueError as error:
        raise NumericError("the record holds a NaN or infinity; unmeasured is None") from error
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_record(
    path: str | os.PathLike[str], kinds: Mapping[str, AnswerKind] | None = None
) -> Record:
    """Read a record from a run directory or from the file itself, and work out its figures.

    Args:
        kinds: how the answers to each question are read, in the order in which they build on one
            another.

    Raises:
        InputError: missing, unreadable, truncated, not a record, another schema version, outcomes
            that contradict each other, or figures that are not those of its outcomes; the text
            names the first.
    """
    target = Path(path)
    file = target / RECORD_NAME if target.is_dir() else target
    fields = parse_json(_read_text(target, file), shown(file))
    version = _check_version(fields, file)
    if version in OLDER_VERSIONS:
        try:
            fields, answers = observed_of_1x(fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{shown(file)}: not a Bitcliff record of schema {version}: {one_line(str(error))}"
            ) from error
        observed = valid(Observed, fields, shown(file))
        return _checked(observed, answers, kinds or {}, shown(file), older=True)
    answers, stored = fields.pop("answers", {}), fields.pop("figures", None)
    observed = valid(Observed, fields, shown(file))
    record = _checked(observed, answers, kinds or {}, shown(file))
    if version == SCHEMA_VERSION:
        check_figures(stored, _figures_of(record), shown(file))
    return record


def valid(kind: type[Kind], fields: object, source: str, where: str = "") -> Kind:
    """Part of a file as what it should be.

    Raises:
        InputError: it is not; the text names the first field that is wrong.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in (*([where] if where else []), *first["loc"]))
        raise InputError(
            f"{source}: not a Bitcliff record: {one_line(place)}: {one_line(first['msg'])}"
        ) from error
    except InputError as error:  # of the settings, whose checks tell it by the option
        raise InputError(
            f"{source}: not a Bitcliff record: settings: {one_line(str(error))}"
        ) from error


def check_figures(stored: object, worked_out: object, source: str) -> None:
    """Refuse figures that are not those of the outcomes beside them.

    Numbers may differ by a millionth, which is what versions of a library may.

    Raises:
        InputError: naming the first that differs.
    """
    difference = _first_difference(stored, json.loads(_dumps(worked_out)), "figures")
    if difference is not None:
        raise InputError(f"{source}: inconsistent record: {difference}")


def _checked(
    observed: Observed,
    answers: object,
    kinds: Mapping[str, AnswerKind],
    source: str,
    older: bool = False,
) -> Record:
    for problem in problems(observed):
        raise InputError(f"{source}: inconsistent record: {one_line(problem)}")
    if not isinstance(answers, dict):
        raise InputError(f"{source}: not a Bitcliff record: answers should be an object")
    if not older and (unknown := answers.keys() - kinds.keys()):
        raise InputError(
            f"{source}: not a Bitcliff record: answers to {one_line(str(sorted(unknown)[0]))!r}, "
            "which is no question"
        )
    record = record_of(observed)
    for key, kind in kinds.items():
        if key not in answers:
            continue
        given = _of_older(kind, record, answers[key], source) if older else answers[key]
        if given is None:  # an older file does not hold what this answer rests on
            continue
        part = valid(kind.observed, given, source, f"answers.{key}")
        for problem in kind.problems(record, part):
            raise InputError(f"{source}: inconsistent record: {key}: {one_line(problem)}")
        record = with_answer(record, key, part, kind)
    return record


def _of_older(kind: AnswerKind, record: Record, answer: Any, source: str) -> Any:
    try:
        return kind.older(record, answer)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"{source}: not a Bitcliff record of schema 1.x: {one_line(repr(error))}"
        ) from error


def _figures_of(record: Record) -> dict[str, Any]:
    answers = {key: _plain(answer.figures) for key, answer in record.answers.items()}
    return {**_plain(record.figures), **answers}


def _plain(part: BaseModel) -> dict[str, Any]:
    # In Python mode: the JSON mode refuses the lone surrogates of odd file names, json does not.
    return part.model_dump(mode="python", by_alias=True)


def _first_difference(stored: object, found: object, where: str) -> str | None:
    """Where two JSON values differ, and how; None where they are alike."""
    if isinstance(found, dict) and isinstance(stored, dict):
        if odd := [*(found.keys() - stored.keys()), *(stored.keys() - found.keys())]:
            return f"{where}.{one_line(str(sorted(odd)[0]))} is missing, or stands there needlessly"
        pairs = ((key, stored[key], found[key]) for key in found)
        place = "{}.{}"
    elif isinstance(found, list) and isinstance(stored, list):
        if len(found) != len(stored):
            return f"{where} has {len(stored)} entries, its outcomes give {len(found)}"
        pairs = ((number, *both) for number, both in enumerate(zip(stored, found, strict=True)))
        place = "{}[{}]"
    else:
        if _alike(stored, found):
            return None
        return f"{where} is {one_line(repr(stored))}, its outcomes give {one_line(repr(found))}"
    for key, mine, theirs in pairs:
        # Most are equal leaves, of which there may be a million.
        if type(mine) is type(theirs) and type(mine) in _LEAVES and mine == theirs:
            continue
        if difference := _first_difference(mine, theirs, place.format(where, key)):
            return difference
    return None


_LEAVES = frozenset({int, float, str, bool, type(None)})


def _alike(stored: object, found: object) -> bool:
    numbers = all(type(one) in (int, float) for one in (stored, found))
    if numbers and float in (type(stored), type(found)):
        a, b = float(stored), float(found)  # type: ignore[arg-type]
        return abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))
    return type(stored) is type(found) and stored == found


def _read_text(given: Path, file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        if given.is_dir():
            hint = f"holds no {RECORD_NAME}; give a run directory that `bitcliff assess` wrote"
        else:
            hint = f"no such file; give a run directory or its {RECORD_NAME}"
        raise InputError(f"{shown(given)}: {hint}") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"{shown(file)}: cannot be read: {reason}; give a run directory or its {RECORD_NAME}"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{shown(file)}: not a Bitcliff record: not UTF-8 text") from error


def parse_json(text: str, source: str, file_name: str = RECORD_NAME) -> dict[str, Any]:
    """A record's text as JSON.

    Raises:
        InputError: cut short, not JSON, or without a schema_version.
    """
    try:
        fields = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{source}: not a whole JSON file (line {error.lineno}: {error.msg}); "
            f"give the {file_name} of a run that finished"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: not a Bitcliff record: {one_line(str(error))}") from error
    if not isinstance(fields, dict) or "schema_version" not in fields:
        raise InputError(
            f"{source}: not a Bitcliff record: no schema_version; "
            f"give a run directory or its {file_name}"
        )
    return fields


def _refuse_constant(token: str) -> NoReturn:
    raise ValueError(f"{token} is not JSON; what was not measured is null")


def _check_version(fields: dict[str, Any], file: Path) -> str:
    """The file's version, taken out of it."""
    found = str(fields.pop("schema_version"))
    if found in (SCHEMA_VERSION, *SAME_OBSERVATIONS, *OLDER_VERSIONS):
        return found
    try:
        newer = _version_key(found) > _version_key(SCHEMA_VERSION)
    except ValueError as error:
        raise InputError(
            f"{shown(file)}: not a Bitcliff record: schema_version is {one_line(found)!r}, "
            f"should be {SCHEMA_VERSION!r}"
        ) from error
    provenance = fields.get("provenance")
    writer = provenance.get("bitcliff") if isinstance(provenance, dict) else None
    remedy = (
        "use a newer Bitcliff"
        if newer
        else "assess again, or read it with the Bitcliff that wrote it"
    )
    written_by = f", written by Bitcliff {one_line(str(writer))}" if writer else ""
    raise InputError(
        f"{shown(file)}: schema_version {one_line(found)}{written_by}, but this Bitcliff reads "
        f"{SCHEMA_VERSION}: {remedy}"
    )


def _version_key(version: str) -> tuple[int, int]:
    parts = re.fullmatch(r"(\d{1,9})\.(\d{1,9})", version, re.ASCII)
    if parts is None:
        raise ValueError(version)
    return int(parts[1]), int(parts[2])


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _one_item_a_line(value: Any) -> str:
    if isinstance(value, dict) and any(isinstance(one, dict | list) for one in value.values()):
        return (
            "{\n" + ",\n".join(f"{_dumps(str(k))}: {_dumps(v)}" for k, v in value.items()) + "\n}"
        )
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return _dumps(value)
    return "[\n" + ",\n".join(_dumps(item) for item in value) + "\n]"
