"""Networks that give no class scores, as a user types them."""

import base64
import shlex
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import sklearn.datasets
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F  # noqa: N812

from bitcliff.adapters.optional import quiet
from bitcliff.cli.main import run
from bitcliff.questions.kinds import KINDS
from bitcliff.record import read_record

N = 40
QUICK = "--bits 3:8 --budget 4 --rounds 2 --exchanges 2 --evaluations 2 --draws 2 --uniform 8"

Typed = Callable[[str], tuple[int, str, str]]


def exported(folder: Path, outputs: int, last: nn.Module) -> None:
    """Whether a tumour is benign (and how large it is), trained on real measurements."""
    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    torch.manual_seed(0)
    layers = [nn.Linear(30, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, outputs)]
    network = nn.Sequential(*layers, last)
    inputs = torch.from_numpy(x)
    target = torch.from_numpy(np.stack([y.astype(np.float32), x[:, 3]], 1)[:, :outputs])
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        loss = F.mse_loss(network(inputs[N:]), target[N:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(), (inputs[:2],), folder / "net.onnx", dynamo=False, input_names=["x"],
            output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )  # fmt: skip
    np.savez(folder / "labelled.npz", x=x[:N], y=y[:N])
    np.savez(folder / "plain.npz", x=x[:N])


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Runs a command in the folder, in this process."""
    monkeypatch.chdir(tmp_path)

    def run_line(line: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(shlex.split(line))
        return (code, *capsys.readouterr())

    return run_line


def in_float(folder: Path) -> np.ndarray:
    session = ort.InferenceSession(folder / "net.onnx")
    found: np.ndarray = session.run(None, {"x": np.load(folder / "plain.npz")["x"]})[0]
    return found


def test_one_score_from_its_file_to_the_gate(typed: Typed, tmp_path: Path) -> None:
    exported(tmp_path, 1, nn.Sigmoid())
    code, out, err = typed(
        f"assess net.onnx --data labelled.npz --runtime ort-dynamic --out run {QUICK}"
    )
    assert code in (0, 1, 3), err
    assert err.startswith("Judged by one score, and whether it lies above 0.5")
    assert "A decision is one score, and whether it lies above 0.5." in out
    record = read_record(tmp_path / "run" / "record.json", KINDS)
    assert record.subject.task == "threshold:0.5"
    above = (in_float(tmp_path)[:, 0] > 0.5).astype(int).tolist()
    assert record.table.prediction.tolist() == above
    assert record.float_.accuracy is not None
    assert record.float_.accuracy.k >= 36
    assert typed("gate run --max-drop 100")[0] == 0
    code, out, err = typed("verify run --policy worst-4")
    assert code == 0, err
    assert f"{N} of {N}" in out or f"{N}/{N}" in out
    code, _, err = typed("export run --policy uniform-8 --out out.onnx")
    assert code == 0, err
    (output,) = ort.InferenceSession(tmp_path / "out.onnx").get_outputs()
    assert output.shape[1:] == [1]  # the network's own, for whoever deploys it


def test_a_black_box_of_one_score(typed: Typed, tmp_path: Path) -> None:
    exported(tmp_path, 1, nn.Identity())
    code, _, err = typed(
        "assess net.onnx --data plain.npz --black-box --runtime ort-dynamic --task threshold:0.5 "
        "--out run"
    )
    assert code in (0, 3), err
    record = read_record(tmp_path / "run" / "record.json", KINDS)
    assert record.subject.task == "threshold:0.5"
    assert record.table.prediction.tolist() == (in_float(tmp_path)[:, 0] > 0.5).astype(int).tolist()


def test_two_numbers_within_a_tolerance(typed: Typed, tmp_path: Path) -> None:
    exported(tmp_path, 2, nn.Identity())
    line = f"assess net.onnx --data plain.npz --runtime ort-dynamic --task values:0.05 {QUICK}"
    code, out, err = typed(f"{line} --out run")
    assert code in (0, 1, 3), err
    assert "every number is within 0.05 of float's own" in out
    record = read_record(tmp_path / "run" / "record.json", KINDS)
    assert record.table.prediction.tolist() == [0] * N
    changed = {one.name: int(one.outcomes.prediction.sum()) for one in record.observed.conditions}
    assert changed["worst-4"] > changed["uniform-8"]
    code, out, err = typed(
        "diff float ort-dynamic net.onnx --data plain.npz --task values:0.05 --out d"
    )
    assert code == 0, err
    assert "KL(" not in out
    assert (
        "labelled.npz: a label has 1 numbers, but the model gives 2"
        in typed("assess net.onnx --data labelled.npz --task values:0.05 --out x")[2]
    )
    code, _, err = typed("assess net.onnx --data plain.npz --task ctc --out x")
    assert (code, err.count("\n")) == (2, 1)
    assert "but gave shape (1, 2)" in err


def test_labels_of_a_tolerance(typed: Typed, tmp_path: Path) -> None:
    exported(tmp_path, 2, nn.Identity())
    x = np.load(tmp_path / "plain.npz")["x"]
    wanted = in_float(tmp_path) + np.linspace(0, 0.4, N)[:, None].astype(np.float32)
    np.savez(tmp_path / "wanted.npz", x=x, y=wanted)
    code, _, err = typed(f"assess net.onnx --data wanted.npz --task values:0.2 --out run {QUICK}")
    assert code in (0, 1, 3), err
    assert "whether every number is within 0.2 of the labelled one" in err
    record = read_record(tmp_path / "run" / "record.json", KINDS)
    assert record.subject.class_names == ["as labelled", "otherwise"]
    # Float is off by evenly spaced amounts, half of which are within.
    assert record.float_.accuracy is not None
    assert record.float_.accuracy.k == N // 2
    assert record.float_.score is not None
    assert record.float_.score.value == 0.5
    worst = record.by_name["worst-4"]
    assert worst.change is not None
    assert worst.score_change is not None
    after = record.outcomes["worst-4"].score
    assert after is not None
    assert worst.score_change.difference == pytest.approx(after.mean() - 0.5)
    assert (worst.score_change.difference or 0) < 0
    assert worst.change.lost > 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Of each, share of numbers" in page
    assert "lose more than 10" in page


SEGMENTER = """
import torch
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 3, 3, padding=1))
"""


def test_maps_of_classes_from_a_table(typed: Typed, tmp_path: Path) -> None:
    """Background, stroke and 8-bit ink of real digits, by a network that learns them in seconds."""
    digits = sklearn.datasets.load_digits().images[:120]
    maps = np.digitize(digits, [4, 12])
    (tmp_path / "seg.py").write_text(SEGMENTER)
    space: dict[str, Callable[[], nn.Module]] = {}
    exec(SEGMENTER, space)
    torch.manual_seed(0)
    network = space["make"]()
    x, y = torch.from_numpy(digits / 16).float()[:, None].repeat(1, 3, 1, 1), torch.from_numpy(maps)
    optimizer = torch.optim.Adam(network.parameters(), 2e-2)
    for _ in range(80):
        loss = F.cross_entropy(network(x[N:]), y[N:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save(network.state_dict(), tmp_path / "seg.pt")
    rows = ["path,label"]
    for place in range(N):
        Image.fromarray(np.uint8(digits[place] * 255 / 16)).save(tmp_path / f"{place}.png")
        Image.fromarray(np.uint8(maps[place])).save(tmp_path / f"{place}-map.png")
        rows.append(f"{place}.png,{place}-map.png")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    line = (
        "assess py:seg:make --weights seg.pt --image-size 8 --mean 0 --std 1 --data table.csv "
        f"--task positions:0.05 --out run {QUICK}"
    )
    code, _, err = typed(line)
    assert code in (0, 1, 3), err
    record = read_record(tmp_path / "run" / "record.json", KINDS)
    pixels = np.stack([np.uint8(digits[place] * 255 / 16) for place in range(N)])
    with torch.no_grad():
        colour = torch.from_numpy(pixels / 255).float()[:, None].repeat(1, 3, 1, 1)
        found = network(colour).argmax(1).numpy()
    shares = (found == maps[:N]).reshape(N, -1).mean(1)
    assert record.table.score is not None
    np.testing.assert_allclose(record.table.score, shares, atol=1e-6)
    assert record.float_.accuracy is not None
    assert record.float_.accuracy.k == int((shares >= 0.95).sum())
    assert record.float_.accuracy.k > 10
    worst = record.by_name["worst-4"].score_change
    assert worst is not None
    assert worst.difference is not None
    assert worst.difference < 0
    name = record.at_risk[0]
    image = Image.open(BytesIO(base64.b64decode(record.table.thumbnails[name].partition(",")[2])))
    left = np.asarray(image.crop((0, 0, 128, 128)), dtype=int)
    coloured = (np.ptp(left, axis=2) > 0)[8::16, 8::16]  # the digit itself is grey
    assert (coloured == (found[record.table.ids.index(name)] > 0)).all()
    (tmp_path / "table.csv").write_text("path,label\n0.png,nothing.png")
    code, _, err = typed(line)
    assert (code, err.count("\n")) == (2, 1)
    assert "table.csv, row 2: nothing.png: unreadable as an image" in err
