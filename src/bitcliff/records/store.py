"""Records on disk: written whole or not at all, read back with every inconsistency refused."""

import contextlib
import errno
import json
import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from bitcliff.errors import InputError, NumericError
from bitcliff.records.consistency import check_record
from bitcliff.records.schema import OLDER_VERSIONS, SCHEMA_VERSION, Record

RECORD_NAME = "record.json"
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")


def write_text_atomic(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 so that `path` holds either all of it or what it held before.

    Lone surrogates (file names that are not valid UTF-8) become `\\udcXX` escapes.

    Raises:
        InputError: the file cannot be written (no such folder, no permission, no space left).
    """
    write_bytes_atomic(path, text.encode("utf-8", "backslashreplace"))


def write_bytes_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` so that `path` holds either all of it or what it held before.

    Raises:
        InputError: the file cannot be written (no such folder, no permission, no space left).
    """
    target = Path(path)
    # In the same directory, because a rename is atomic only within one file system.
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        _write_durably(temporary, data)
        os.replace(temporary, target)
        _sync_directory(target.parent)
    except OSError as error:
        raise InputError(_unwritable(_shown(target), error)) from error
    finally:
        # Also after Ctrl-C; after a success the temporary name is gone already.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str], option: str) -> None:
    """Refuse, before long work, a file that could not be written after it; leaves nothing behind.

    Raises:
        InputError: as `write_bytes_atomic`, or it is a folder; the text names the option.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise InputError(_unwritable(f"{option} {_shown(target)}", error)) from error


def is_leftover(name: str) -> bool:
    """Whether a file of this name was left by an atomic write that was killed."""
    return _LEFTOVER.fullmatch(name) is not None


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder and those above it, where missing, so that a power cut cannot undo it later.

    Raises:
        InputError: it cannot be made (a file is in the way, no permission, no space left).
    """
    folder = Path(path)
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
        _sync_directory(folder.parent)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{_shown(folder)}: the folder cannot be made: {reason}") from error


def write_record(record: Record, path: str | os.PathLike[str]) -> None:
    """Write the record as JSON, whole or not at all; a directory gets `record.json` inside.

    One policy and one example a line, keys in the order of the schema: a diff stays readable.

    Raises:
        InputError: the file cannot be written.
        NumericError: the record holds a NaN or infinity, which JSON cannot carry.
    """
    target = Path(path)
    write_text_atomic(target / RECORD_NAME if target.is_dir() else target, record_json(record))


def record_json(record: BaseModel) -> str:
    """The record as JSON text, ending in a newline.

    Raises:
        NumericError: the record holds a NaN or infinity.
    """
    # In Python mode: the JSON mode refuses the lone surrogates of odd file names, json does not.
    fields = record.model_dump(mode="python", by_alias=True)
    try:
        lines = [f"{_dumps(key)}: {_one_item_a_line(value)}" for key, value in fields.items()]
    except ValueError as error:
        raise NumericError("the record holds a NaN or infinity; unmeasured is None") from error
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_record(path: str | os.PathLike[str]) -> Record:
    """Read a record from a run directory or from the file itself, and check that it is consistent.

    Raises:
        InputError: missing, unreadable, truncated, not a record, another schema version, or
            inconsistent in itself (see `check_record`).
    """
    target = Path(path)
    file = target / RECORD_NAME if target.is_dir() else target
    fields = _parse(_read_text(target, file), file)
    _check_version(fields, file)
    try:
        record = Record.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{_shown(file)}: not a Bitcliff record: {_one_line(where)}: {_one_line(first['msg'])}"
        ) from error
    except InputError as error:  # of the settings, whose checks tell it by the option
        raise InputError(
            f"{_shown(file)}: not a Bitcliff record: settings: {_one_line(str(error))}"
        ) from error
    check_record(record, _shown(file))
    return record


def _unwritable(shown: str, error: OSError) -> str:
    return (
        f"{shown}: cannot be written: {error.strerror or type(error).__name__}; "
        "the output must be in a folder that exists, may be written to and has space left"
    )


def _write_durably(path: Path, data: bytes) -> None:
    # Not tempfile: it makes files that only the owner may read, which a CI artefact must not be.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def _sync_directory(directory: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows has no directory handles to sync
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a directory; the file itself is safe by now.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _one_item_a_line(value: Any) -> str:
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return _dumps(value)
    return "[\n" + ",\n".join(_dumps(item) for item in value) + "\n]"


def _read_text(given: Path, file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        if given.is_dir():
            hint = f"holds no {RECORD_NAME}; give a run directory that `bitcliff assess` wrote"
        else:
            hint = f"no such file; give a run directory or its {RECORD_NAME}"
        raise InputError(f"{_shown(given)}: {hint}") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"{_shown(file)}: cannot be read: {reason}; give a run directory or its {RECORD_NAME}"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{_shown(file)}: not a Bitcliff record: not UTF-8 text") from error


def _parse(text: str, file: Path) -> dict[str, Any]:
    try:
        fields = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{_shown(file)}: not a whole JSON file (line {error.lineno}: {error.msg}); "
            f"give the {RECORD_NAME} of a run that finished"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{_shown(file)}: not a Bitcliff record: {_one_line(str(error))}"
        ) from error
    if not isinstance(fields, dict) or "schema_version" not in fields:
        raise InputError(
            f"{_shown(file)}: not a Bitcliff record: no schema_version; "
            f"give a run directory or its {RECORD_NAME}"
        )
    return fields


def _refuse_constant(token: str) -> NoReturn:
    raise ValueError(f"{token} is not JSON; what was not measured is null")


def _check_version(fields: dict[str, Any], file: Path) -> None:
    found = str(fields["schema_version"])
    if found in OLDER_VERSIONS:
        fields["schema_version"] = SCHEMA_VERSION
        return
    if found == SCHEMA_VERSION:
        return
    try:
        newer = _version_key(found) > _version_key(SCHEMA_VERSION)
    except ValueError as error:
        raise InputError(
            f"{_shown(file)}: not a Bitcliff record: schema_version is {_one_line(found)!r}, "
            f"should be {SCHEMA_VERSION!r}"
        ) from error
    provenance = fields.get("provenance")
    writer = provenance.get("bitcliff") if isinstance(provenance, dict) else None
    remedy = (
        "use a newer Bitcliff"
        if newer
        else "assess again, or read it with the Bitcliff that wrote it"
    )
    written_by = f", written by Bitcliff {_one_line(str(writer))}" if writer else ""
    raise InputError(
        f"{_shown(file)}: schema_version {found}{written_by}, but this Bitcliff reads "
        f"{SCHEMA_VERSION}: {remedy}"
    )


def _version_key(version: str) -> tuple[int, int]:
    parts = re.fullmatch(r"(\d{1,9})\.(\d{1,9})", version, re.ASCII)
    if parts is None:
        raise ValueError(version)
    return int(parts[1]), int(parts[2])


def _shown(path: Path) -> str:
    return _one_line(str(path), limit=400)


def _one_line(text: str, limit: int = 200) -> str:
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"
