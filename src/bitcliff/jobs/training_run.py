"""The folder of a training run: locked, its configuration fixed, its metrics kept in step."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from bitcliff.errors import InputError
from bitcliff.jobs.lock import flocked
from bitcliff.records import is_leftover, make_folder, write_text_atomic

CONFIG, LOCK, METRICS = "config.json", "lock", "metrics.jsonl"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the folder, made if need be; the system lets go of it when the process ends.

    What a killed run left half-written is cleared away.

    Raises:
        InputError: it cannot be made, or another process holds it; the text says which.
    """

    def busy(file: int) -> str:
        holder = os.read(file, 200).decode(errors="replace") or "another process"
        return f"--out {directory}: in use by {holder}; wait or stop it"

    made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    make_folder(directory)
    before = _names(directory)
    with ExitStack() as held:
        try:
            file = held.enter_context(flocked(directory / LOCK, os.O_RDWR | os.O_CREAT, busy))
            os.ftruncate(file, 0)
            os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            _clear_leftovers(directory)
        except OSError as error:
            raise InputError(f"--out {directory}: cannot be used: {error.strerror}") from error
        try:
            yield
        except BaseException:
            _forget_unbegun(directory, before, made)
            raise


def _forget_unbegun(directory: Path, before: set[str], made: list[Path]) -> None:
    """What was refused before any training must not stand in the way of the mended command.

    `before`: what lay there, and is not this command's. `made`: folders, the deepest first.
    """
    written = _names(directory) - before
    if written <= {CONFIG, LOCK}:
        for name in written:
            (directory / name).unlink()
        with suppress(OSError):  # another run may have come to the folder above
            for folder in made:
                folder.rmdir()


def _names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


def _clear_leftovers(directory: Path) -> None:
    # Not all that lies below: the folder may hold other runs, with writes under way.
    for pattern in (".*.tmp", "seed-*/**/.*.tmp"):
        for file in directory.glob(pattern):
            if is_leftover(file.name):
                file.unlink()


def fix_config(directory: Path, config: dict[str, Any], resume: bool) -> None:
    """Write a new run's configuration, or see that a resumed run has the same.

    Raises:
        InputError: there is a run already and `resume` is not asked for, or it is of another
            configuration; the text shows the first differences.
    """
    file = directory / CONFIG
    if not file.exists():
        write_text_atomic(file, json.dumps(config, indent=2) + "\n")
        return
    if not resume:
        raise InputError(f"--out {directory}: holds a run already; give --resume or another folder")
    try:
        before = dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file}: damaged; give another --out") from error
    keys = sorted(before.keys() | config.keys())
    changed = [key for key in keys if before.get(key) != config.get(key)]
    if changed:
        shown = "; ".join(f"{key} was {before.get(key)}, is {config.get(key)}" for key in changed)
        raise InputError(f"--resume: the config is not that of {directory}: {shown}")


class MetricsFile:
    """One JSON object a line, by epoch; lines after a resumed step are written anew."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / METRICS

    def add(self, entry: dict[str, Any]) -> None:
        """Append one, on disk before the checkpoint that says its epoch is done.

        Lines of the same or a later step were measured by a run that was killed: they go.

        Raises:
            InputError: the file cannot be written.
        """
        make_folder(self._path.parent)
        write_text_atomic(self._path, self._before(entry["step"]) + json.dumps(entry) + "\n")

    def _before(self, step: int) -> str:
        """The lines of earlier steps."""
        kept = []
        for line in self._path.read_text().splitlines() if self._path.exists() else []:
            try:
                entry = json.loads(line)
            except ValueError:  # damaged: what follows is measured again, or was lost with it
                break
            if entry["step"] < step:
                kept.append(line + "\n")
        return "".join(kept)
