"""`bitcliff train distill` as a user types it, from black boxes that go away and come back."""

import json
import socket
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from bitcliff.adapters import load_model
from tests.adapters.black_box.mlserver import running_mlserver
from tests.end_to_end.commands import BITCLIFF, bitcliff, environment
from tests.end_to_end.test_train import wait_for_checkpoint

CONFIG = (
    "model: zoo:digits\ndata: digits\nepochs: {epochs}\nbatch_size: 64\nsave_every: 3\n"
    "augmentation: {{padded_crop: 1}}\noptimiser: {{lr: 0.1}}\n"
    "teacher: {teacher}\nteacher_settings: {{retries: 1, timeout: 20}}\n"
)
INPUTS = [{"name": "images", "datatype": "FP32", "shape": [-1, 1, 8, 8]}]
OUTPUTS = [{"name": "scores", "datatype": "FP32", "shape": [-1, 10]}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a trained network as an ONNX file."""
    folder = tmp_path_factory.mktemp("distill")
    export(folder / "teacher.onnx")
    return folder


def export(file: Path) -> None:
    module = load_model("base-digits").module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter speaks of its own successor
        torch.onnx.export(
            module,
            (torch.zeros(2, 1, 8, 8),),
            str(file),
            input_names=["images"],
            output_names=["scores"],
            dynamic_axes={"images": {0: "n"}, "scores": {0: "n"}},
            dynamo=False,
        )


def distill(
    folder: Path, out: str, teacher: str, *more: str, epochs: int = 8
) -> "subprocess.CompletedProcess[str]":
    (folder / f"{out}.yaml").write_text(CONFIG.format(epochs=epochs, teacher=teacher))
    return bitcliff(
        folder, "train", "distill", f"{out}.yaml", "--out", out, "--threads", "1", *more
    )


def student(folder: Path, out: str) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / out / "seed-0" / "network.safetensors")


@pytest.fixture(scope="module")
def from_onnx(folder: Path) -> str:
    done = distill(folder, "onnx", "teacher.onnx")
    assert done.returncode == 0, done.stderr
    assert "answered as the teacher does" in done.stdout
    return "onnx"


def test_from_an_onnx_file(folder: Path, from_onnx: str) -> None:
    result: dict[str, Any] = json.loads((folder / from_onnx / "result.json").read_text())
    (one,) = result["results"]
    assert result["teacher"]["value"] > 0.9
    assert one["agreement"]["n"] == one["accuracy"]["n"] == 360
    assert one["agreement"]["value"] > 0.5, "it learns: chance is a tenth"
    lines = (folder / from_onnx / "seed-0" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, 9))


def test_another_file_is_not_the_same_teacher(folder: Path, from_onnx: str) -> None:
    (folder / "other.onnx").write_bytes((folder / "teacher.onnx").read_bytes()[:-8])
    done = distill(folder, "cut", "other.onnx")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "other.onnx" in done.stderr
    done = distill(folder, from_onnx, "base-digits", "--resume")
    assert done.returncode == 2
    assert "teacher was teacher.onnx, is base-digits" in done.stderr


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.mark.slow
def test_an_endpoint_that_goes_down_costs_no_step(
    folder: Path, from_onnx: str, tmp_path: Path
) -> None:
    """Served by MLServer, killed, and served again: the student's bits are those from the file."""
    pytest.importorskip("mlserver", reason="MLServer does not install on this Python")
    port, uri = free_port(), str(folder / "teacher.onnx")
    teacher = f"http://127.0.0.1:{port}/v2/models/digits"
    (folder / "served.yaml").write_text(CONFIG.format(epochs=8, teacher=teacher))
    command = [BITCLIFF, "train", "distill", "served.yaml", "--out", "served", "--threads", "1"]
    with running_mlserver(tmp_path, uri, INPUTS, OUTPUTS, "digits", port):
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
        )
        wait_for_checkpoint(folder, "served")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 2
    assert teacher in told.splitlines()[-1]
    assert "Traceback" not in told
    down = distill(folder, "served", teacher, "--resume")
    assert (down.returncode, len(down.stderr.splitlines())) == (2, 1)
    with running_mlserver(tmp_path, uri, INPUTS, OUTPUTS, "digits", port):
        done = distill(folder, "served", teacher, "--resume")
    assert done.returncode == 0, done.stderr
    assert "going on after step" in done.stderr
    wanted, found = student(folder, from_onnx), student(folder, "served")
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize(
    ("teacher", "told"),
    [
        ("no.onnx", "no.onnx: no such file"),
        ("http://127.0.0.1:9/v2/models/m", "127.0.0.1:9"),
        ("timm:resnet18", "--weights"),
        ("call:nowhere:f", "nowhere"),
        ("efficientnet-lite0", "failed on inputs of shape (1, 8, 8)"),
    ],
)
def test_a_teacher_that_cannot_answer_is_one_line_and_exit_2(
    folder: Path, teacher: str, told: str
) -> None:
    done = distill(folder, "bad", teacher)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
