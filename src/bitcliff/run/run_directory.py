"""The folder a run writes into: whose it is, held by one process, finished or not."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from bitcliff.errors import InputError
from bitcliff.questions.kinds import KINDS
from bitcliff.record import Record, is_leftover, make_folder, read_record
from bitcliff.record.measurement import Figures, Measurement, MeasurementKind, stem_of
from bitcliff.record.measurement import Observed as Measured
from bitcliff.record.store import RECORD_NAME

CONFIG, PARTIAL, LOCK = "config.json", "partial.jsonl", ".lock"
# What an explanation that was interrupted has answered.
EXPLANATION = f"explanation.{PARTIAL}"
# The commands that measure something of their own, whose files are named after them; the last is
# what `isolate` was called before.
MEASURING = ("guard", "isolate", "provoke", "provoke --universal", "batchmates")
_PARTIALS = {command: f"{stem_of(command)}.{PARTIAL}" for command in MEASURING}
# By its command, what tells a run: of these, a folder holds one command's alone.
_TOLD_BY = {
    "assess": {RECORD_NAME, PARTIAL},
    **{command: {f"{stem_of(command)}.json", _PARTIALS[command]} for command in MEASURING},
}
_GIVE = "give a run directory that `bitcliff assess` wrote"


def check_run_directory(directory: Path, command: str) -> None:
    """Refuse a folder that holds something else than a run of this command; it need not exist.

    Raises:
        InputError: it is not a folder, cannot be read, or holds something that is no such run.
    """
    try:
        names = {entry.name for entry in directory.iterdir()} if directory.exists() else set()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"--out {directory}: not usable as a run directory: {reason}; name another folder"
        ) from error
    foreign = {name for name in names if not is_leftover(name) and name != LOCK}
    if foreign and not foreign & {CONFIG, PARTIAL, *_PARTIALS.values()}:
        raise InputError(
            f"--out {directory}: the folder is not empty and holds no run; name another"
        )
    for other in commands_in(directory, foreign):
        if other != command:
            raise InputError(
                f"--out {directory}: the folder holds a run of `bitcliff {other}`; name another"
            )


def commands_in(directory: Path, names: set[str]) -> list[str]:
    """The commands whose runs the folder, which holds these names, has in it."""
    found = [command for command, files in _TOLD_BY.items() if names & files]
    # That of training is there from the beginning, and has what no other command's has.
    return [*found, "train"] if "seeds" in config_in(directory) else found


def config_in(directory: Path) -> dict[str, Any]:
    """The configuration of the run in a folder; empty where there is none that can be read."""
    try:
        found = json.loads((directory / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def open_run(directory: Path) -> None:
    """Make the folder, where it is not there.

    Raises:
        InputError: it cannot be made.
    """
    try:
        make_folder(directory)
    except InputError as error:
        raise InputError(f"--out {error}") from error


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keep other runs out of the folder, and clear away what a killed one left half-written.

    The system lets go of it when the process ends, however it does. A file in it says who holds it,
    is no part of the run and goes with the lock; after a kill it stays, and holds nothing.

    Raises:
        InputError: another process holds it, which the text names, or it cannot be written into.
    """
    from filelock import FileLock, Timeout  # here alone: reading takes no lock

    file = directory / LOCK
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(file, blocking=False, on_acquired=_sign))
            stack.callback(_remove, file)
            _clear_leftovers(directory)
        except Timeout as error:
            raise InputError(
                f"--out {directory}: in use by {_holder(file)}; "
                "wait for it, stop it or name another folder"
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"--out {directory}: cannot be used: {reason}") from error
        yield


def _sign(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)


def _holder(file: Path) -> str:
    try:
        return file.read_text(errors="replace")[:200] or "another process"
    except OSError:  # just let go of, or not to be read while it is held, as on Windows
        return "another process"


def _remove(file: Path) -> None:
    # While it is held: another process that has opened it sees that it is gone, and takes no lock.
    with suppress(OSError):  # as on Windows, where it goes with the lock
        file.unlink()


def _clear_leftovers(directory: Path) -> None:
    # Not all that lies below: the folder may hold other runs, with writes under way.
    for pattern in (".*.tmp", "seed-*/**/.*.tmp"):
        for file in directory.glob(pattern):
            if is_leftover(file.name):
                file.unlink()


def check_is_folder(run: Path) -> None:
    """Refuse what can be no run directory, where the record alone is not enough.

    Raises:
        InputError: it is missing or a file.
    """
    if not run.is_dir():
        found = "not a folder" if run.exists() else "no such folder"
        raise InputError(f"{run}: {found}; {_GIVE}")


def holds(run: Path, kind: MeasurementKind[Measured, Figures]) -> bool:
    """Whether a folder, or the record named itself, is of this kind, finished or not."""
    folder = run.parent if run.is_file() else run
    return run.name == kind.file_name or any(
        (folder / name).exists() for name in _TOLD_BY[kind.command]
    )


def finished_measurement(
    run: Path, kind: MeasurementKind[Measured, Figures]
) -> Measurement[Measured, Figures]:
    """The record of a command that measures something of its own, in its folder or itself.

    Raises:
        InputError: there is none, or a later run into the same folder was interrupted.
    """
    folder = run.parent if run.name == kind.file_name and run.is_file() else run
    if (folder / _PARTIALS[kind.command]).exists():
        raise InputError(f"{run}: its last run was interrupted; run the same command again first")
    return kind.read(folder)


def finished_record(run: Path) -> Record:
    """The record of an assessment that ended; `run` is its folder or the record itself.

    Raises:
        InputError: there is none, or a later run into the same folder was interrupted.
    """
    folder = run if run.is_dir() else run.parent
    if run.exists() and (folder / PARTIAL).exists():  # a record there is of an earlier run
        raise InputError(f"{run}: its last run was interrupted; run the same command again first")
    for command in MEASURING:
        if (run / _PARTIALS[command]).exists():
            raise InputError(
                f"{run}: an interrupted `bitcliff {command}`; run the same again, or {_GIVE}"
            )
        if (run / f"{stem_of(command)}.json").exists():
            raise InputError(
                f"{run}: a finished `bitcliff {command}`; read its report.html, or {_GIVE}"
                + ("; `gate` judges it by --max-provoked" if command.startswith("provoke") else "")
            )
    return read_record(run, KINDS)
