"""The folder of a sweep: whose it is, what it was asked for, and that one sweep alone uses it."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bitcliff.errors import InputError
from bitcliff.record import write_text_atomic
from bitcliff.run.run_directory import held, open_run
from bitcliff.sweep.store import RUN, Store

ASKED = "sweep.json"
CELLS = "cells"
_HOLDER = "sweep-holder.json"
_FRESH = 60.0  # seconds, after which a holder that was not heard of is taken for dead
_AGAIN = 15.0
_RECORDS = ("result.json", "config.json", "record.json")


@contextmanager
def sweep_folder(directory: Path, asked: dict[str, Any]) -> Iterator[None]:
    """Hold the folder, made if need be, for a sweep of just this.

    Raises:
        InputError: it holds something else or another sweep, cannot be written to, or another
            process is at it.
    """
    file = directory / ASKED
    open_run(directory)
    others = {entry.name for entry in directory.iterdir() if not entry.name.startswith(".")}
    if others and not file.exists():
        raise InputError(f"--out {directory}: the folder is not empty and holds no sweep")
    with held(directory):
        begun = any(one.is_dir() for one in (directory / CELLS).glob("*"))
        if file.exists() and begun:  # before, a mended file must not be refused
            _compare(file.read_bytes(), asked, f"--out {directory}")
        else:
            write_text_atomic(file, json.dumps(asked, indent=2) + "\n")
        yield


def _compare(data: bytes, asked: dict[str, Any], shown: str) -> None:
    try:
        before = json.loads(data)
    except ValueError as error:
        raise InputError(f"{shown}: its {ASKED} is damaged; give another") from error
    where = _difference(before, json.loads(json.dumps(asked)), "")
    if where is not None:
        raise InputError(f"{shown}: holds another sweep: {where}; give another")


def _difference(before: object, now: object, path: str) -> str | None:
    """The first place where they differ, and how."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*before, *now)):
            found = _difference(before.get(key), now.get(key), f"{path}.{key}" if path else key)
            if found is not None:
                return found
        return None
    return None if before == now else f"{path} was {before}, is {now}"


@dataclass
class Claim:
    """Says in shared storage who uses it, as long as that sweep runs.

    Args:
        store: where all cells' folders are. asked: of the sweep. folder: of the sweep; what it left
            in the storage when it was killed is its own.
    """

    store: Store
    folder: Path
    asked: dict[str, Any]
    _refreshed: float = field(default=0.0, init=False)

    @property
    def _own(self) -> str:
        return f"{socket.gethostname()}:{self.folder.resolve()}"

    def take(self) -> None:
        """Say that this sweep uses it.

        Raises:
            InputError: another was heard of a moment ago, it holds cells of another sweep, or it
                cannot be written.
        """
        data = self.store.read(_HOLDER)
        try:
            before = json.loads(data) if data else {}
            ago = time.time() - float(before.get("seen", 0))
            other = before.get("sweep", self._own)
        except (ValueError, AttributeError):
            ago, other = 0.0, "something that is damaged"
        if other != self._own and abs(ago) < _FRESH:
            raise InputError(
                f"--storage {self.store.root}: in use by {other}, heard of {abs(ago):.0f} s ago; "
                "wait for it, or give another"
            )
        self._say()
        kept = self.store.read(ASKED)
        if kept is None:
            self.store.write(ASKED, json.dumps(self.asked).encode())
        else:
            _compare(kept, self.asked, f"--storage {self.store.root}")

    def refresh(self) -> None:
        """Say it again, where that is due."""
        if time.monotonic() - self._refreshed > _AGAIN:
            self._say()

    def release(self) -> None:
        """Leave it to others."""
        self.store.remove(_HOLDER)

    def _say(self) -> None:
        self._refreshed = time.monotonic()
        said = {"sweep": self._own, "process": os.getpid(), "seen": time.time()}
        self.store.write(_HOLDER, json.dumps(said).encode())


def pull(store: Store, cell: str, directory: Path) -> Path:
    """The folder of a cell's run, as far as tables need it, on this machine.

    Args:
        directory: of the sweep.
    """
    if store.local is not None:
        return store.local / cell / RUN
    run = directory / CELLS / cell / RUN
    for name in _RECORDS:
        data = None if (run / name).exists() else store.read(f"{cell}/{RUN}/{name}")
        if data is not None:
            run.mkdir(parents=True, exist_ok=True)
            write_text_atomic(run / name, data.decode())
    return run
