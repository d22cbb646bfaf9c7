"""Files on disk: written whole or not at all."""

import contextlib
import errno
import json
import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import Any

from bitcliff.errors import InputError

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
        raise InputError(_unwritable(shown(target), error)) from error
    finally:
        # Also after Ctrl-C; after a success the temporary name is gone already.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def append_json_line(path: str | os.PathLike[str], value: Any) -> None:
    """Add `value` as a line of JSON to a file that is there, on disk at once.

    What was there stays. A kill or a full disk leaves all of the line, none of it, or a part
    without the newline, which `read_json_lines` passes over.

    Raises:
        InputError: the file cannot be written.
    """
    left = (json.dumps(value) + "\n").encode()
    target = Path(path)
    try:
        with target.open("r+b", buffering=0) as file:
            file.seek(0, os.SEEK_END)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(_unwritable(shown(target), error)) from error


def read_json_lines(path: str | os.PathLike[str]) -> list[Any]:
    """The values of a file of JSON lines, up to the first that is torn or damaged.

    A file that is not there or cannot be read has none.
    """
    values: list[Any] = []
    try:
        *lines, _torn = Path(path).read_bytes().split(b"\n")
        for line in lines:
            values.append(json.loads(line))
    except (OSError, ValueError, RecursionError):
        pass
    return values


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
        raise InputError(_unwritable(f"{option} {shown(target)}", error)) from error


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
        raise InputError(f"{shown(folder)}: the folder cannot be made: {reason}") from error


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


def shown(path: Path) -> str:
    """A path as an error names it."""
    return one_line(str(path), limit=400)


def one_line(text: str, limit: int = 200) -> str:
    """Text from a file, fit to stand in an error."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"
