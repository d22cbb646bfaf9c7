"""`bitcliff train` as a user types it: trained, killed, resumed, refused."""

import json
import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from bitcliff.train.checkpoint import Checkpoints
from bitcliff.zoo.shipped import SHIPPED
from tests.end_to_end.commands import BITCLIFF, bitcliff, environment, spawned

TEACHER = "model: zoo:digits\ndata: digits\nepochs: 2\noptimiser: {lr: 0.05}\nsave_every: 5\n"
PAIR = (
    "model: zoo:digits\nweights: t/seed-0/network.safetensors\ndata: digits\nepochs: 1\n"
    "batch_size: 128\npolicy_channels: [4]\nbits: [3, 5]\nbudget: 4\n"
)


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return bitcliff(folder, "train", *arguments, "--threads", "1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    (folder / "teacher.yaml").write_text(TEACHER)
    (folder / "pair.yaml").write_text(PAIR)
    (folder / "long.yaml").write_text(TEACHER.replace("epochs: 2", "epochs: 6"))
    (folder / "endless.yaml").write_text(TEACHER.replace("epochs: 2", "epochs: 500"))
    done = train(folder, "teacher", "teacher.yaml", "--out", "t")
    assert done.returncode == 0, done.stderr
    assert "right on the test split" in done.stdout
    return folder


def test_a_pair_from_a_teacher(trained: Path) -> None:
    done = train(trained, "pair", "pair.yaml", "--out", "p")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((trained / "p" / "result.json").read_text())
    assert (result["points"], result["total_bits"]) == (20, 80)
    (one,) = result["results"]
    cells = {(c["network"], c["policy"]): c["accuracy"] for c in one["cells"]}
    assert len(cells) == 3 * 4
    assert all(cell["n"] == 360 for cell in cells.values())
    teacher = json.loads((trained / "t" / "result.json").read_text())["results"][0]["accuracy"]
    assert cells["base", "float"] == teacher
    assert one["transitory"]["of_all"]["n"] == 360
    for aim in ("robust", "brittle"):
        lines = (trained / "p" / "seed-0" / aim / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [1]
        assert (trained / "p" / "seed-0" / aim / "policy.safetensors").exists()
    assert "20 points, 80 bits for each example" in done.stdout


@pytest.fixture(scope="module")
def whole(trained: Path) -> Path:
    """The longer training, which nothing has stopped."""
    done = train(trained, "teacher", "long.yaml", "--out", "whole")
    assert done.returncode == 0, done.stderr
    return trained / "whole"


def start(folder: Path, config: str, out: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [BITCLIFF, "train", "teacher", config, "--out", out, "--threads", "1"],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_checkpoint(folder: Path, out: str) -> None:
    deadline = time.monotonic() + 300
    while not list((folder / out).glob("seed-0/checkpoints/*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


# SIGINT differs in its code alone, which the signals in validation tell.
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_is_resumed_to_the_same_bits(
    trained: Path, whole: Path, number: signal.Signals, code: int
) -> None:
    out = f"stopped-{number}"
    process = start(trained, "long.yaml", out)
    wait_for_checkpoint(trained, out)
    os.kill(process.pid, number)
    _, told = process.communicate(timeout=300)
    assert process.returncode == code
    assert ("go on with --resume" in told) == (code > 0)
    again = train(trained, "teacher", "long.yaml", "--out", out)
    assert again.returncode == 2
    assert "holds a run already; give --resume" in again.stderr
    done = train(trained, "teacher", "long.yaml", "--out", out, "--resume")
    assert done.returncode == 0, done.stderr
    assert "going on after step" in done.stderr
    assert results(trained / out) == results(whole)


def test_a_second_run_is_told_who_holds_the_folder(trained: Path) -> None:
    process = start(trained, "endless.yaml", "held")
    wait_for_checkpoint(trained, "held")
    second = train(trained, "teacher", "endless.yaml", "--out", "held", "--resume")
    process.kill()
    process.communicate()
    assert second.returncode == 2
    assert f"--out held: in use by process {process.pid} on " in second.stderr


# Sends itself signals in a pass in eval mode: two shape the network, two are a validation of 288
# images, two the next one, and two the last measurement, on the test split.
SIGNALLING = """
import os, signal
from torch import nn

class Net(nn.Sequential):
    passes = 0

    def forward(self, x):
        Net.passes += not self.training
        if not self.training and Net.passes == int(os.environ.get("AT", 0)):
            for number in os.environ["SIGNALS"].split():
                os.kill(os.getpid(), int(number))
        return super().forward(x)

def net():
    return Net(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
"""


SMALL = ["train", "teacher", "teacher.yaml", "--threads", "1", "--out"]


@pytest.fixture(scope="module")
def signalling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a run, `whole`, that no signal has stopped."""
    folder = tmp_path_factory.mktemp("signalling")
    (folder / "signalling.py").write_text(SIGNALLING)
    (folder / "teacher.yaml").write_text(TEACHER.replace("zoo:digits", "py:signalling:net"))
    done = bitcliff(folder, *SMALL, "whole")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(
    ("at", "numbers", "code", "saved"),
    [
        ("4", "15", 143, ["step-000000015", "step-000000017"]),  # validated and saved all the same
        ("4", "2", 130, ["step-000000015", "step-000000017"]),
        ("4", "15 2", 130, ["step-000000010", "step-000000015"]),  # the second: at once
        ("8", "15", 143, ["step-000000030", "step-000000034"]),
        ("8", "2", 130, ["step-000000030", "step-000000034"]),
    ],
)
def test_a_signal_in_validation_and_in_the_last_measurement(
    signalling: Path, at: str, numbers: str, code: int, saved: list[str]
) -> None:
    out = f"at-{at}-{numbers}"
    # The second signal ends the process, whatever else runs in it.
    stopped = (spawned if " " in numbers else bitcliff)(
        signalling, *SMALL, out, AT=at, SIGNALS=numbers
    )
    assert stopped.returncode == code, stopped.stderr
    assert ("go on with --resume" in stopped.stderr) == (" " not in numbers)
    kept = sorted((signalling / out).rglob("checkpoints/*.json"))
    assert [file.stem for file in kept] == saved
    done = bitcliff(signalling, *SMALL, out, "--resume")
    assert done.returncode == 0, done.stderr
    assert results(signalling / out) == results(signalling / "whole")


def results(out: Path) -> dict[str, bytes]:
    names = ("result.json", "seed-0/network.safetensors", "seed-0/metrics.jsonl")
    return {name: (out / name).read_bytes() for name in names}


def test_resuming_what_has_ended_or_never_began(trained: Path) -> None:
    before = results(trained / "t")
    for out in ("t", "new-by-resume"):
        done = train(trained, "teacher", "teacher.yaml", "--out", out, "--resume")
        assert done.returncode == 0, done.stderr
        assert results(trained / out) == before


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits other processes")
@pytest.mark.slow
def test_no_space_left_while_training(trained: Path, whole: Path) -> None:
    """Files may no longer grow to more than 40 kB: less than a checkpoint has."""
    process = start(trained, "long.yaml", "full")
    wait_for_checkpoint(trained, "full")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (40_000, 40_000))
    _, told = process.communicate(timeout=300)
    assert process.returncode == 2
    *_, last = told.splitlines()
    assert re.fullmatch(r"bitcliff: error: full/\S+\.safetensors: cannot be written: .*", last)
    assert "File too large" in last
    assert "Traceback" not in told
    newest, damaged = Checkpoints(trained / "full" / "seed-0" / "checkpoints").newest()
    assert newest is not None
    assert damaged == []
    done = train(trained, "teacher", "long.yaml", "--out", "full", "--resume")
    assert done.returncode == 0, done.stderr
    assert f"going on after step {newest.step} of" in done.stderr
    assert results(trained / "full") == results(whole)


@pytest.mark.parametrize(
    ("config", "arguments", "told"),
    [
        (TEACHER.replace("epochs", "epoch"), [], "unknown key epoch; did you mean epochs?"),
        (TEACHER.replace("digits\nepochs", "digit\nepochs"), [], "did you mean digits?"),
        (TEACHER.replace("2\n", "0\n"), [], "epochs: Input should be greater than or equal to 1"),
        (TEACHER + "label_smoothing: 0.2\n", ["--out", "t", "--resume"], "label_smoothing was 0.1"),
        ("[", [], "not YAML"),
        ("", [], "must hold `key: value` lines"),
        ("model: zoo:digit\ndata: digits\n", [], "did you mean digits?"),
        ("data: digits\n", [], "the key model is missing"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    trained: Path, config: str, arguments: list[str], told: str
) -> None:
    (trained / "bad.yaml").write_text(config)
    done = train(trained, "teacher", "bad.yaml", *(arguments or ["--out", "new"]))
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list((trained / "new").glob("*.json"))


@pytest.mark.slow
def test_the_committed_configs_train_what_is_shipped(tmp_path: Path) -> None:
    """The paper's Table 3 in small, and the very bits of the zoo: minutes.

    Another kind of processor rounds otherwise, and then trains other networks.
    """
    configs = Path(__file__).parents[2] / "configs"
    base = "runs/digits-teacher"
    first = train(tmp_path, "teacher", str(configs / "digits-teacher.yaml"), "--out", base)
    assert first.returncode == 0, first.stderr
    done = train(tmp_path, "pair", str(configs / "digits-pair.yaml"), "--out", "p")
    assert done.returncode == 0, done.stderr
    (one,) = json.loads((tmp_path / "p" / "result.json").read_text())["results"]
    value = {(c["network"], c["policy"]): c["accuracy"]["value"] for c in one["cells"]}
    assert one["parity"]["brittle"]["held"]
    assert one["parity"]["robust"]["held"]
    assert value["brittle", "brittle"] < value["brittle", "random"] < value["brittle", "float"]
    assert value["brittle", "brittle"] < value["brittle", "float"] - 0.5
    assert value["robust", "robust"] > value["robust", "float"] - 0.03
    assert value["base", "brittle"] > value["base", "float"] - 0.05
    pair = tmp_path / "p" / f"seed-{one['seed']}"
    trained = {"base": tmp_path / base / "seed-0"}
    trained |= {aim: pair / aim for aim in ("robust", "brittle")}
    for name, folder in trained.items():
        shipped = SHIPPED[f"{name}-digits"]
        for file in filter(None, (shipped.weights, shipped.policy)):
            found, wanted = (safetensors.torch.load_file(f) for f in (folder / file.name, file))
            assert all(torch.equal(found[key], wanted[key]) for key in wanted), file
