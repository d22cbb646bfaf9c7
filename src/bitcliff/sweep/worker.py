"""Running one cell wherever it was sent: a child process that does not outlive this one."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import yaml

from bitcliff.errors import InputError
from bitcliff.record import make_folder, write_text_atomic
from bitcliff.record.files import one_line
from bitcliff.run.parent import PARENT
from bitcliff.sweep.cell import FOLDER, WEIGHTS, CellOutcome
from bitcliff.sweep.store import RUN, Store

LOG = "log.txt"
_CONFIG = "cell.yaml"
_PREFIX = "bitcliff: error: "
_NO_LIMIT = 1e9  # seconds
_WAIT_FOR_ANOTHER = 60.0  # seconds, for a process that is about to die
# An audit also leaves with these once it has its record: the gate failed, or is inconclusive.
_ENDED = {"assess": (0, 1, 3)}
_LEAVES = {"assess": "record.json"}


class Children:
    """The processes that are under way here, which a stop is to reach."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.stopping = False

    def run(self, command: list[str], log: Path, environment: dict[str, str], cwd: str) -> int:
        """Run a command to its end. Returns its exit code, as `subprocess` has it."""
        with log.open("ab") as file:
            with self._lock:
                if self.stopping:
                    return -signal.SIGTERM
                child = subprocess.Popen(  # noqa: S603  (our own command)
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    env=environment,
                    cwd=cwd if os.path.isdir(cwd) else None,
                    start_new_session=True,  # Ctrl-C reaches the sweep, which tells its cells
                )
                self._running.add(child)
            try:
                # With a limit Python looks for interrupts meanwhile, which else wait for the child.
                return child.wait(_NO_LIMIT)
            except KeyboardInterrupt:  # as Ray cancels a task
                self.stopping = True
                child.terminate()
                return child.wait()
            finally:
                with self._lock:
                    self._running.discard(child)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Tell all of them, and begin no more."""
        with self._lock:
            self.stopping = True
            for child in self._running:
                child.send_signal(number)


def execute(job: str, children: Children | None = None, **environment: str) -> str:
    """Run a cell, unless it is done already; what it found is in the storage before its outcome is.

    Args:
        job: as `Cell.job` makes it. environment: more variables, such as which GPU is its own.

    Returns:
        `CellOutcome.text`. It is also in the storage, unless the cell was stopped, or the storage
        failed.
    """
    asked = json.loads(job)
    began, attempt = time.monotonic(), uuid.uuid4().hex
    try:
        store = Store(asked["root"])
        before = store.outcome(asked["name"])
        if before is not None:
            return before.text
        with _workplace(store, asked["name"]) as folder:
            before = store.outcome(asked["name"])  # of another attempt that was waited for
            if before is not None:
                return before.text
            outcome = _outcome(asked, folder, store, children or Children(), environment, attempt)
            if outcome.state in ("stopped", "lost"):
                return outcome.text
            if store.local is None:
                store.upload(folder, asked["name"])
            store.finish(asked["name"], outcome)
    except (InputError, OSError) as error:
        seconds = time.monotonic() - began
        outcome = CellOutcome("failed", 2, one_line(str(error), 400), seconds, attempt)
    return outcome.text


@contextmanager
def _workplace(store: Store, name: str) -> Iterator[Path]:
    """A folder of this machine for the cell, held by this process alone."""
    from filelock import FileLock, Timeout

    if store.local is None:
        with tempfile.TemporaryDirectory(prefix="bitcliff-cell-") as scratch:
            yield Path(scratch)
        return
    folder = store.local / name
    make_folder(folder)
    try:
        # A killed worker's last moments may overlap with the next attempt.
        with FileLock(folder / ".cell.lock", timeout=_WAIT_FOR_ANOTHER):
            yield folder
    except Timeout as error:
        raise InputError(f"{folder}: another process is at it") from error
    except OSError as error:
        raise InputError(f"{folder}: cannot be used: {error.strerror or error}") from error


def _outcome(
    asked: dict[str, Any],
    folder: Path,
    store: Store,
    children: Children,
    environment: dict[str, str],
    attempt: str,
) -> CellOutcome:
    began = time.monotonic()
    command = _command(asked, folder, store)
    log = folder / LOG
    log.write_bytes(b"")
    threads = str(asked["threads"])
    env = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads} | environment
    env[PARENT] = str(os.getpid())  # it would go on alone, while another machine does it again
    code = children.run(command, log, env, asked["cwd"])
    seconds = time.monotonic() - began
    ended = code in _ENDED.get(asked["kind"], (0,))
    # Where another part of this process has reaped a killed child, as Ray does when it ends a
    # worker, Python takes its exit code for 0.
    if ended and (folder / RUN / _LEAVES.get(asked["kind"], "result.json")).exists():
        return CellOutcome("done", code, "", seconds, attempt)
    if children.stopping:
        return CellOutcome("stopped", code, "stopped", seconds, attempt)
    if ended:
        return CellOutcome("lost", code, "it is gone without a record", seconds, attempt)
    # A signal came of whoever ended a worker, or of the system: it says nothing of the cell.
    state: Literal["lost", "failed"] = "lost" if code < 0 else "failed"
    return CellOutcome(state, code, _reason(code, log), seconds, attempt)


def _command(asked: dict[str, Any], folder: Path, store: Store) -> list[str]:
    """The command line, its files in place."""
    if asked["after"]:
        key = f"{asked['after']}/{RUN}/seed-0/{WEIGHTS}"
        store.fetch(key, folder / WEIGHTS)
    if asked["settings"]:
        text = yaml.safe_dump(asked["settings"], sort_keys=False, allow_unicode=True)
        write_text_atomic(folder / _CONFIG, text.replace(FOLDER, str(folder)))
    arguments = [one.replace(FOLDER, str(folder)) for one in asked["arguments"]]
    return [
        *(asked["program"] or (sys.executable, "-m", "bitcliff")),
        *arguments,
        *("--out", str(folder / RUN), "--threads", str(asked["threads"])),
    ]


def _reason(code: int, log: Path) -> str:
    """Why a command failed: its own line of error, else its last."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}" + ("; out of memory?" if name == "SIGKILL" else "")
    lines = log.read_text("utf-8", "replace").splitlines()
    said = next((line for line in reversed(lines) if line.startswith(_PREFIX)), None)
    if said is not None:
        return one_line(said.removeprefix(_PREFIX), 400)
    return one_line(f"left with {code}: {lines[-1] if lines else 'without a word'}", 400)
