import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from bitcliff.sweep.cell import CellOutcome
from bitcliff.sweep.local import LocalPool, places
from bitcliff.sweep.scheduler import Scheduler, SweepListener
from bitcliff.sweep.store import Store
from tests.sweep.stub import place, run, seen, stub_cell


def test_a_failed_cell_says_why_and_the_sweep_goes_on(tmp_path: Path) -> None:
    cells = [stub_cell("a"), stub_cell("b", code=3), stub_cell("c"), stub_cell("d", after="b")]
    found = run(LocalPool(place(tmp_path), 2), cells)
    assert {name: one.state for name, one in found.items()} == {
        "a": "done",
        "b": "failed",
        "c": "done",
        "d": "failed",
    }
    assert found["b"].reason == "b was told to fail"
    assert found["d"].reason == "b failed"
    store = Store(str(tmp_path / "cells"))
    kept = {name: store.outcome(name) for name in "abcd"}
    assert kept == {**found, "d": None}  # it was never begun, and will be once b is mended


def test_what_is_done_is_not_begun_again(tmp_path: Path) -> None:
    cells = [stub_cell("a"), stub_cell("b")]
    first = run(LocalPool(place(tmp_path), 1), cells)
    again = run(LocalPool(place(tmp_path), 1), cells)
    assert again == first
    assert [name for name, _ in seen(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize("reaped_by_another", [False, True])
def test_a_killed_cell_is_begun_again(tmp_path: Path, reaped_by_another: bool) -> None:
    before = signal.getsignal(signal.SIGCHLD)
    if reaped_by_another:  # then Python takes an exit code for 0
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        (lost,) = run(LocalPool(place(tmp_path), 1), [stub_cell("a", code="killed")]).values()
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (lost.state, lost.code) == ("lost", 0 if reaped_by_another else -signal.SIGKILL)
    assert Store(str(tmp_path / "cells")).outcome("a") is None
    (done,) = run(LocalPool(place(tmp_path), 1), [stub_cell("a")]).values()
    assert done.state == "done"
    assert [name for name, _ in seen(tmp_path)] == ["a", "a"]


def test_no_more_at_once_than_there_is_room_for(tmp_path: Path) -> None:
    cells = [stub_cell(f"c{number}", seconds=0.3) for number in range(5)]
    began = time.monotonic()
    run(LocalPool(place(tmp_path), 2), cells)
    assert time.monotonic() - began >= 3 * 0.3
    starts = sorted(when for _, when in seen(tmp_path))
    assert all(later - first >= 0.29 for first, later in zip(starts, starts[2:], strict=False))


def test_a_base_comes_before_what_begins_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "cells" / "base" / "run" / "seed-0"
    folder.mkdir(parents=True)
    (folder / "network.safetensors").write_bytes(b"weights")
    cells = [stub_cell("late", after="base"), stub_cell("base", seconds=0.2)]
    found = run(LocalPool(place(tmp_path), 2), cells)
    assert {one.state for one in found.values()} == {"done"}
    assert [name for name, _ in seen(tmp_path)] == ["base", "late"]
    assert (tmp_path / "cells" / "late" / "network.safetensors").read_bytes() == b"weights"


def test_a_stop_begins_no_more_and_forgets_what_was_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    listener = SweepListener(
        on_begin=lambda _: threading.Timer(0.3, stop.set).start(), should_stop=stop.is_set
    )
    scheduler = Scheduler(LocalPool(place(tmp_path), 1), listener)
    scheduler.run([stub_cell("a", seconds=30), stub_cell("b")])
    assert {name: one.state for name, one in scheduler.outcomes.items()} == {"a": "stopped"}
    assert Store(str(tmp_path / "cells")).outcome("a") is None


# Its cell is Bitcliff itself, which waits for somebody to write into a pipe.
_DRIVER = """
import sys
from bitcliff.sweep.cell import Cell, Place
from bitcliff.sweep.local import LocalPool
from tests.sweep.stub import run
cell = Cell("a", "pair", {}, ("train", "teacher", sys.argv[2]))
run(LocalPool(Place(sys.argv[1]), 1), [cell])
"""


def test_a_killed_sweep_leaves_no_cell_behind(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    driver = subprocess.Popen([sys.executable, "-c", _DRIVER, str(tmp_path / "cells"), str(pipe)])
    deadline = time.monotonic() + 60
    while not (children := psutil.Process(driver.pid).children()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(3)  # it has found its parent by now
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert psutil.wait_procs(children, timeout=10)[0] == children


def test_a_damaged_outcome_is_told(tmp_path: Path) -> None:
    (tmp_path / "cells" / "a").mkdir(parents=True)
    (tmp_path / "cells" / "a" / "cell.json").write_text('{"state": "done"}')
    found = run(LocalPool(place(tmp_path), 1), [stub_cell("a")])
    assert found["a"].state == "failed"
    assert "damaged; delete it" in found["a"].reason
    outcome = CellOutcome("done", 0, "", 1.5, "x")
    assert CellOutcome.of(outcome.text) == outcome


def test_a_gpu_has_one_cell_and_cells_see_their_own(tmp_path: Path) -> None:
    assert places(None, 1, 3) == 3
    assert places(5, 1, 3) == 5
    assert places(None, 10**6, 0) == 1
    where = place(tmp_path)
    Path(where.program[0]).write_text('#!/bin/sh\nsleep 0.3\necho "$CUDA_VISIBLE_DEVICES" >&2\n')
    run(LocalPool(where, 2, gpus=2), [stub_cell("a"), stub_cell("b")])
    logs = [(tmp_path / "cells" / name / "log.txt").read_text().strip() for name in "ab"]
    assert sorted(logs) == ["0", "1"]
