"""The folder a run writes into, and what of an interrupted run can be used again."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bitcliff.errors import InputError
from bitcliff.jobs.lock import flocked
from bitcliff.jobs.training_run import LOCK
from bitcliff.questions.batchmates.record import BATCHMATES_NAME
from bitcliff.questions.kinds import KINDS
from bitcliff.records import Measured, Record, is_leftover, read_record, write_text_atomic
from bitcliff.records.provenance import now
from bitcliff.records.store import RECORD_NAME

CONFIG, PARTIAL = "config.json", "partial.json"
BATCHMATES_PARTIAL = "batchmates.partial.json"
# By its command, what tells a run: of these, a folder holds one command's alone.
_TOLD_BY = {
    "assess": {RECORD_NAME, PARTIAL},
    "batchmates": {BATCHMATES_NAME, BATCHMATES_PARTIAL},
    "train": {LOCK},
}
_GIVE = "give a run directory that `bitcliff assess` wrote"


class _Partial(BaseModel):
    """Policies measured by a run that has not ended, and the configuration they belong to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    started: str
    measured: list[Measured]


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
    foreign = {name for name in names if not is_leftover(name)}
    if foreign and not foreign & {CONFIG, PARTIAL, BATCHMATES_PARTIAL}:
        raise InputError(
            f"--out {directory}: the folder is not empty and holds no run; name another"
        )
    for other, files in _TOLD_BY.items():
        if other != command and foreign & files:
            raise InputError(
                f"--out {directory}: the folder holds a run of `bitcliff {other}`; name another"
            )


def open_run(directory: Path) -> None:
    """Make the folder, or clear away what a killed run left half-written.

    Raises:
        InputError: it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for entry in directory.iterdir():
            if is_leftover(entry.name):
                entry.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"--out {directory}: the folder cannot be made: {reason}") from error


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keep other runs out of the folder; the system lets go of it when the process ends.

    Raises:
        InputError: another run is writing into it.
    """
    busy = f"--out {directory}: another run is writing into it; wait for it or name another folder"
    if os.name != "posix":  # folders cannot even be opened elsewhere
        yield
        return
    with flocked(directory, os.O_RDONLY, lambda _folder: busy):
        yield


def check_is_folder(run: Path) -> None:
    """Refuse what can be no run directory, where the record alone is not enough.

    Raises:
        InputError: it is missing or a file.
    """
    if not run.is_dir():
        found = "not a folder" if run.exists() else "no such folder"
        raise InputError(f"{run}: {found}; {_GIVE}")


def finished_record(run: Path) -> Record:
    """The record of an assessment that ended; `run` is its folder or the record itself.

    Raises:
        InputError: there is none, or a later run into the same folder was interrupted.
    """
    folder = run if run.is_dir() else run.parent
    if run.exists() and (folder / PARTIAL).exists():  # a record there is of an earlier run
        raise InputError(
            f"{run}: its last run was interrupted; run the same `bitcliff assess` again first"
        )
    if (run / BATCHMATES_PARTIAL).exists():
        raise InputError(
            f"{run}: an interrupted `bitcliff batchmates`; run the same again, or {_GIVE}"
        )
    if (run / BATCHMATES_NAME).exists():
        raise InputError(
            f"{run}: a finished `bitcliff batchmates`; read its report.html, or {_GIVE}"
        )
    return read_record(run, KINDS)


class PartialResults:
    """Measured policies, written after each one, so that a killed run goes on from there.

    Results of another configuration are not used: the fingerprint covers settings, weights, data,
    what the network computes in float, versions and thread count.
    """

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self._path = directory / PARTIAL
        text = json.dumps(config, sort_keys=True)
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()
        found = self._read()
        self.started = found.started if found else now()
        self._measured = {measured.name: measured for measured in (found.measured if found else [])}
        if not found:
            self._write()

    @property
    def resumed(self) -> int:
        """How many policies an earlier, interrupted run has left."""
        return len(self._measured)

    def get(self, name: str) -> Measured | None:
        """What was measured under this name, if anything."""
        return self._measured.get(name)

    def put(self, measured: Measured) -> None:
        """Keep it, on disk at once."""
        self._measured[measured.name] = measured
        self._write()

    def clear(self) -> None:
        """The run has ended: nothing to take up again."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        partial = _Partial(
            fingerprint=self._fingerprint,
            started=self.started,
            measured=list(self._measured.values()),
        )
        write_text_atomic(self._path, partial.model_dump_json())

    def _read(self) -> _Partial | None:
        try:
            partial = _Partial.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return None
        return partial if partial.fingerprint == self._fingerprint else None
