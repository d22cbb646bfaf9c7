"""A detector trained on drawn shapes, as a user types it, and held against ONNX Runtime alone."""

import base64
import shlex
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bitcliff.adapters.optional import quiet
from bitcliff.cli.main import run
from bitcliff.questions.kinds import KINDS
from bitcliff.record import read_record

N, SIDE, CELL = 16, 48, 8
COARSE = """
everywhere: true
activations: {element: uint3, group: example, scale: minmax-zero}
weights: {element: int8, group: example, scale: amax, divisor: 127}
"""
QUICK = "--bits 3:8 --budget 5 --rounds 2 --exchanges 2 --evaluations 2 --draws 2 --uniform 8"
GRID = SIDE // CELL

Shapes = list[tuple[np.ndarray, int]]


class Detector(nn.Module):
    """One box and two scores in each cell, written as YOLO's exporters do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 5, 1, 2), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Conv2d(32, 6, 1)
        ends = torch.arange(GRID) * float(CELL) + CELL / 2
        self.register_buffer("cells", torch.stack(torch.meshgrid(ends, ends, indexing="xy")))

    def forward(self, x: Tensor) -> Tensor:
        found = self.head(self.body(x))
        centres = self.cells + CELL * found[:, :2]
        return torch.cat([centres, 16 * found[:, 2:4].exp(), found[:, 4:].sigmoid()], 1).flatten(2)


def drawn(random: np.random.Generator, n: int) -> tuple[np.ndarray, list[Shapes]]:
    """One or two squares and discs on noise, and the box of each."""
    images = random.normal(0, 0.1, (n, 1, SIDE, SIDE)).astype(np.float32)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    boxes: list[Shapes] = []
    for image in images[:, 0]:
        shapes: Shapes = []
        for half in range(1 + int(random.integers(2))):
            radius, kind = random.uniform(5, 9), int(random.integers(2))
            x = SIDE / 4 + SIDE / 2 * half + random.uniform(-2, 2)
            y = random.uniform(10, SIDE - 10)
            across, down = np.abs(columns + 0.5 - x), np.abs(rows + 0.5 - y)
            inside = np.hypot(across, down) if kind else np.maximum(across, down)
            image[inside < radius] += 1
            shapes.append((np.array([x - radius, y - radius, x + radius, y + radius]), kind))
        boxes.append(shapes)
    return images, boxes


def trained() -> nn.Module:
    torch.manual_seed(0)
    images, boxes = drawn(np.random.default_rng(1), 512)
    target = torch.zeros(len(images), 6, GRID, GRID)
    for row, shapes in zip(target, boxes, strict=True):
        for box, kind in shapes:
            x, y, side = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0]
            cell = row[:, int(y / CELL), int(x / CELL)]
            cell[:4] = torch.tensor([x, y, side, side])
            cell[4 + kind] = 1
    network, x, target = Detector(), torch.from_numpy(images), target.flatten(2)
    there = target[:, 4:].amax(1, keepdim=True)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for step in range(240):
        part = torch.arange(64) + 64 * (step % 8)
        found = network(x[part])
        placed = ((found[:, :4] - target[part, :4]).abs() * there[part]).mean()
        weight = 1 + 4 * target[part, 4:]
        loss = placed + 10 * F.binary_cross_entropy(found[:, 4:], target[part, 4:], weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def exported(network: nn.Module, inputs: np.ndarray) -> None:
    """To net.onnx here, and its data."""
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.from_numpy(inputs[:2]),), "net.onnx", dynamo=False, input_names=["x"],
            output_names=["boxes"], dynamic_axes={"x": {0: "n"}, "boxes": {0: "n"}},
        )  # fmt: skip
    np.savez("data.npz", x=inputs)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    both = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both))


def found_by_runtime(file: Path, images: np.ndarray) -> list[Shapes]:
    """ONNX Runtime, one image at a time, and non-maximum suppression by its definition."""
    session = ort.InferenceSession(file)
    everything: list[Shapes] = []
    for image in images:
        (output,) = session.run(None, {session.get_inputs()[0].name: image[None]})
        centre, size, scores = output[0, :2].T, output[0, 2:4].T, output[0, 4:].T
        boxes, kept = np.concatenate([centre - size / 2, centre + size / 2], 1), list[Any]()
        for place in np.argsort(-scores.max(1)):
            box, kind = boxes[place], int(scores[place].argmax())
            again = any(kind == other and overlap(box, one) > 0.5 for one, other in kept)
            if scores[place].max() > 0.5 and not again:
                kept.append((box, kind))
        everything.append(kept)
    return everything


def alike(ours: Shapes, theirs: Shapes) -> bool:
    """Each has one of the others'; boxes here lie far apart."""
    pairs = [(a, b) for a in ours for b in theirs if a[1] == b[1] and overlap(a[0], b[0]) >= 0.5]
    return len(pairs) == len(ours) == len(theirs)


def test_a_detector_from_its_file_to_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    network, (images, shapes) = trained(), drawn(np.random.default_rng(2), N)
    exported(network, images)
    in_float = found_by_runtime(tmp_path / "net.onnx", images)
    assert sum(map(alike, in_float, shapes)) > N / 2  # it detects what was drawn

    def typed(line: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(shlex.split(line))
        return (code, *capsys.readouterr())

    line = f"assess net.onnx --data data.npz --runtime ort-dynamic {QUICK}"
    code, out, err = typed(f"{line} --task detection:0.5 --out run")
    assert code in (0, 1, 3), err
    assert "Judged by whether the boxes whose scores lie above 0.5 are float's own" in err
    assert "the boxes whose scores lie above 0.5 are float's own" in out
    record = read_record(tmp_path / "run" / "record.json", KINDS)
    assert record.subject.task == "detection:0.5"
    assert record.table.prediction.tolist() == [0] * N
    found = {one.name: one.outcomes for one in record.observed.conditions}
    changed = {name: int(one.prediction.sum()) for name, one in found.items()}
    assert changed["worst-5"] > max(changed["uniform-8"], changed["random-5"])
    code, _, err = typed("export run --runtime ort-dynamic --out int8.onnx")
    assert code == 0, err
    quantized = found_by_runtime(tmp_path / "int8.onnx", images)
    expected = [int(not alike(a, b)) for a, b in zip(quantized, in_float, strict=True)]
    assert found["ort-dynamic"].prediction.tolist() == expected
    assert typed("gate run --max-drop 100")[0] == 0
    assert record.table.pictures.startswith("Boxes that float finds are blue")
    assert record.table.pictures in (tmp_path / "run" / "report.html").read_text()
    assert len(record.table.thumbnails) == min(len(record.at_risk), 24)
    name = record.at_risk[0]
    image = Image.open(BytesIO(base64.b64decode(record.table.thumbnails[name].partition(",")[2])))
    pixels = np.asarray(image, dtype=int)
    blue = np.argwhere((pixels == (31, 111, 235)).all(2)) * SIDE / len(pixels)
    corners = np.array([box for box, _ in in_float[int(name)]])
    assert blue.min(0) == pytest.approx(corners[:, 1::-1].min(0), abs=1.5)
    assert blue.max(0) == pytest.approx(corners[:, :1:-1].max(0), abs=1.5)

    # The same of a format, where no search was made.
    (tmp_path / "coarse.yaml").write_text(COARSE)
    line = "assess net.onnx --data data.npz --task detection:0.5 --numerics coarse.yaml"
    code, _, err = typed(f"{line} --out format")
    assert code in (0, 1, 3), err
    record = read_record(tmp_path / "format" / "record.json", KINDS)
    assert record.at_risk
    assert record.table.pictures.startswith("Boxes that float finds are blue")
    assert set(record.table.thumbnails) == set(record.at_risk[:24])


def test_an_output_of_another_layout_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exported(nn.Linear(6, 5), np.random.default_rng(0).random((3, 6), dtype=np.float32))
    code = run(shlex.split("assess net.onnx --data data.npz --task detection --out run"))
    err = capsys.readouterr().err
    assert code == 2
    assert err.splitlines()[-1].startswith(
        "bitcliff: error: net.onnx: the model must give boxes and scores (batch, candidates, 4 + "
        "classes) or (batch, 4 + classes, candidates), but gave shape (1, 5)"
    )
