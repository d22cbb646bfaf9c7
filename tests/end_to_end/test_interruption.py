"""Killed, interrupted, out of space: the same command then goes on, to the same record."""

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract import recompute
from tests.end_to_end.commands import BITCLIFF, bitcliff, environment

COMMAND = [
    "assess",
    "py:mynet:DigitsMLP",
    "--weights",
    "mlp.safetensors",
    "--data",
    "digits.npz",
    "--out",
    "run",
    "--bits",
    "2:5",
    "--budget",
    "2.5,3",
    "--uniform",
    "3",
    "--draws",
    "4",
    "--rounds",
    "3",
    "--exchanges",
    "12",
    "--evaluations",
    "16",
]
FILES = ["config.json", "examples.csv", "junit.xml", "record.json", "report.html"]
LINE = "bitcliff: error: "


def timeless(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "run" / "record.json").read_text())
    return recompute.timeless(record)


@pytest.fixture(scope="session")
def undisturbed(furnished: Callable[[str], Path]) -> dict[str, Any]:
    """The record of the same command, in another folder, that nobody disturbed."""
    folder = furnished("undisturbed")
    assert bitcliff(folder, *COMMAND).returncode == 0
    return timeless(folder)


def started(folder: Path) -> "subprocess.Popen[str]":
    """The command, until some policies are measured."""
    process = subprocess.Popen(
        [BITCLIFF, *COMMAND],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 300
    while measured(folder) < 2 and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    return process


def measured(folder: Path) -> int:
    try:
        return (folder / "run" / "partial.jsonl").read_text().count("\n") - 1
    except OSError:
        return 0


def finish(folder: Path) -> dict[str, Any]:
    done = bitcliff(folder, *COMMAND)
    assert done.returncode == 0, done.stderr
    assert "Going on after" in done.stderr
    assert sorted(path.name for path in (folder / "run").iterdir()) == FILES
    return timeless(folder)


def test_killed_in_the_middle(
    furnished: Callable[[str], Path], undisturbed: dict[str, Any]
) -> None:
    folder = furnished("killed")
    process = started(folder)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "run" / "record.json").exists()
    # A write that was under way leaves its temporary file behind; the next run clears it away.
    (folder / "run" / ".partial.jsonl.0123456789ab.tmp").write_text('{"half": ')
    assert finish(folder) == undisturbed


def test_interrupted_from_the_keyboard(
    furnished: Callable[[str], Path], undisturbed: dict[str, Any]
) -> None:
    folder = furnished("interrupted")
    process = started(folder)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == f"{LINE}interrupted; the same command goes on from here"
    assert "Traceback" not in err
    assert [path.name for path in (folder / "run").iterdir()] == ["partial.jsonl"]
    assert finish(folder) == undisturbed


def test_no_space_left_while_measuring(
    furnished: Callable[[str], Path], undisturbed: dict[str, Any]
) -> None:
    """Files may grow to 10 kB, which the partial results soon exceed."""
    folder = furnished("full")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = subprocess.run(
        [BITCLIFF, *COMMAND],
        cwd=folder,
        # Python itself would leave the network's byte code behind, cut off at the limit.
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    check_disk_error(done, folder)
    assert finish(folder) == undisturbed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk(furnished: Callable[[str], Path]) -> None:
    folder = furnished("disk")
    (folder / "run").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(folder / "run")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        check_disk_error(bitcliff(folder, *COMMAND), folder)
    finally:
        subprocess.run(["umount", str(folder / "run")], check=True)


def check_disk_error(done: "subprocess.CompletedProcess[str]", folder: Path) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith(LINE)]
    assert errors == done.stderr.splitlines()[-1:]
    assert "partial.jsonl: cannot be written" in errors[0]
    assert "space" in errors[0]
    left = [path.name for path in (folder / "run").iterdir()]
    assert left == ["partial.jsonl"]
    *whole, _torn = (folder / "run" / "partial.jsonl").read_text().split("\n")
    assert len(whole) > 1
    for line in whole:
        json.loads(line)
