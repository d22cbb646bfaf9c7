"""`bitcliff train` with two processes on the CPU: one run to its user, and the same network."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch

from tests.end_to_end.commands import BITCLIFF, bitcliff, environment, spawned

# Six steps: after some more, rounding to another level somewhere parts what was equal to rounding.
# Batches of 383 do not share out evenly.
PAIR = (
    "model: py:mynet:DigitsMLP\nweights: mlp.safetensors\ndata: digits\nepochs: 2\n"
    "batch_size: 383\npolicy_channels: [4]\nbits: [3, 5]\nbudget: 4\n"
    "optimiser: {lr: 0.01}\nsave_every: 2\n"
)
PARALLEL = "devices: 2\ntensorboard: true\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, weights_file: Callable[[str], Path]) -> Path:
    folder = tmp_path_factory.mktemp("devices")
    shutil.copy(Path(__file__).parents[1] / "small_networks.py", folder / "mynet.py")
    shutil.copy(weights_file(".safetensors"), folder)
    (folder / "one.yaml").write_text(PAIR)
    (folder / "two.yaml").write_text(PAIR + PARALLEL)
    (folder / "long.yaml").write_text(PAIR.replace("epochs: 2", "epochs: 500") + PARALLEL)
    return folder


def train(name: str) -> list[str]:
    return ["train", "pair", f"{name}.yaml", "--out", name, "--threads", "1"]


@pytest.fixture(scope="module")
def one(folder: Path) -> "subprocess.CompletedProcess[str]":
    """What a training in one process says."""
    return bitcliff(folder, *train("one"))


@pytest.mark.slow
def test_two_processes_train_what_one_does(
    folder: Path, one: "subprocess.CompletedProcess[str]"
) -> None:
    told = {"one": one, "two": spawned(folder, *train("two"))}
    for done in told.values():
        assert done.returncode == 0, done.stderr
    for file in ("network.safetensors", "policy.safetensors"):
        for aim in ("robust", "brittle"):
            alone, shared = (
                safetensors.torch.load_file(folder / name / "seed-0" / aim / file) for name in told
            )
            for key, value in alone.items():
                assert (value - shared[key]).abs().max() < 1e-5 * value.abs().max(), key
    # Only the first process tells and writes, so all is there once.
    assert told["two"].stdout.count("points, ") == 1
    assert told["two"].stderr.count("seed 0: measuring on the test split") == 1
    assert "distributed" not in told["two"].stderr
    lines = (folder / "two" / "seed-0" / "robust" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert len(list((folder / "two").rglob("*tfevents*"))) == 2
    results = [json.loads((folder / name / "result.json").read_text()) for name in told]
    assert results[0]["results"][0]["parity"].keys() == results[1]["results"][0]["parity"].keys()


def test_progress_tells_the_run_its_validation_and_the_time_left_of_all(
    one: "subprocess.CompletedProcess[str]",
) -> None:
    lines = one.stderr.splitlines()
    (half,) = [line for line in lines if "robust (1 of 2) step 6 of 6" in line]
    (end,) = [line for line in lines if "brittle (2 of 2) step 6 of 6" in line]
    assert half.startswith("[ 50 %] seed-0/robust")
    assert "; validation float " in half
    assert "%, own " in half
    assert half.endswith(" left")
    assert end.startswith("[100 %]")
    assert end.endswith("; done")


@pytest.mark.slow
def test_a_signal_to_the_first_stops_both(folder: Path) -> None:
    process = started(folder, "stopped")
    os.kill(process.pid, signal.SIGTERM)
    # Its end of the pipe is closed only when the other process has ended too.
    _, told = process.communicate(timeout=300)
    assert process.returncode == 143
    assert told.count("stopped; go on with --resume") == 1
    assert "error" not in told


@pytest.mark.slow
def test_both_go_on_and_the_other_notices_that_the_first_is_gone(folder: Path) -> None:
    process = started(folder, "killed")
    process.kill()
    process.communicate(timeout=300)
    again = started(folder, "killed", "--resume")
    assert again.stderr is not None
    assert "going on after step" in again.stderr.readline()
    again.kill()
    again.communicate(timeout=300)


def started(folder: Path, out: str, *more: str) -> "subprocess.Popen[str]":
    """A training in two processes that has a checkpoint."""
    command = [BITCLIFF, "train", "pair", "long.yaml", "--out", out, "--threads", "1", *more]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    while not list((folder / out).glob("seed-0/robust/checkpoints/*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process
