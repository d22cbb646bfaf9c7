"""What a user may get wrong: one line that names it, exit code 2, and nothing written."""

import pickle
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from bitcliff.cli.main import run
from tests.small_networks import DigitsCNN

MODEL = ["py:mynet:DigitsMLP"]
DIGITS = ["--data", "digits", "--examples", "20"]
PICTURES = ["--image-size", "8", "--channels", "grey"]


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return open, ("pwned", "w")


@pytest.fixture(scope="module")
def bad_things(
    tmp_path_factory: pytest.TempPathFactory, weights_file: Callable[[str], Path]
) -> Path:
    """A folder full of them."""
    folder = tmp_path_factory.mktemp("bad")
    shutil.copy(Path(__file__).parents[1] / "small_networks.py", folder / "mynet.py")
    make_weights(folder, weights_file)
    make_pictures(folder)
    x = np.random.default_rng(0).random((6, 1, 8, 8), np.float32)
    with_nan = x.copy()
    with_nan[3, 0, 2, 2] = np.nan
    y = np.arange(6)
    arrays: dict[str, dict[str, Any]] = {
        "nan": {"x": with_nan, "y": y},
        "high": {"x": x, "y": y + 5},
        "negative": {"x": x, "y": y - 1},
        "nameless": {"a": x},
        "shape": {"x": x[:, :, :5]},
        "single": {"x": x[:1]},
        "fine": {"x": x, "y": y},
    }
    for name, content in arrays.items():
        np.savez(folder / f"{name}.npz", **content)
    for name, line in {
        "slip": "float_point: [hidden]",
        "layer": "float_points: [layer.3]",
        "floor": "floors: {layers.3: 99}",
        "weights": "weights_sha256: abc",
    }.items():
        (folder / f"{name}.yaml").write_text(f"model: mynet\n{line}\n")
    return folder


def make_weights(folder: Path, weights_file: Callable[[str], Path]) -> None:
    good, pt = weights_file(".safetensors").read_bytes(), weights_file(".pt").read_bytes()
    (folder / "good.safetensors").write_bytes(good)
    (folder / "cut.safetensors").write_bytes(good[: len(good) // 2])
    (folder / "mutated.safetensors").write_bytes(good[:20] + b"\xff" + good[21:])
    (folder / "cut.pt").write_bytes(pt[: len(pt) // 2])
    save_file(DigitsCNN().state_dict(), folder / "other.safetensors")
    broken = torch.load(weights_file(".pt"), weights_only=True)
    broken["layers.0.weight"][0, 0] = float("nan")
    save_file(broken, folder / "nan.safetensors")
    (folder / "evil.pt").write_bytes(pickle.dumps(Evil()))
    torch.save({"layers.0.weight": Evil()}, folder / "evil_inside.pt")
    torch.save(nn.Linear(2, 2), folder / "module.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but what users have lying about
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), folder / "script.pt")
    (folder / "exported.pt2").write_bytes(b"PK\x03\x04")
    (folder / "weights.txt").write_text("1 2 3")
    (folder / "empty.pt").write_bytes(b"")


def make_pictures(folder: Path) -> None:
    def picture(path: str, side: int = 8) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (side, side), 99).save(folder / path)

    (folder / "no_pictures").mkdir()
    for place in range(3):
        picture(f"one_class/0/{place}.png")
        for label in (0, 1):
            picture(f"unreadable/{label}/{place}.png")
            picture(f"oversized/{label}/{place}.png")
    (folder / "unreadable/1/1.png").write_bytes(b"\x89PNG but no")
    picture("oversized/1/1.png", side=5100)
    (folder / "gone.csv").write_text("path,label\nunreadable/0/0.png,0\nnowhere.png,1\n")
    (folder / "headless.csv").write_text("unreadable/0/0.png,0\n")
    (folder / "labels.csv").write_text("path,label\nunreadable/0/0.png,0\nunreadable/0/1.png,11\n")


CASES: dict[str, tuple[list[str], str]] = {
    "missing weights": ([*MODEL, "--weights", "no.safetensors", *DIGITS], "no such file"),
    "truncated weights": ([*MODEL, "--weights", "cut.safetensors", *DIGITS], "truncated"),
    "truncated pt": ([*MODEL, "--weights", "cut.pt", *DIGITS], "cut.pt"),
    "mutated weights": ([*MODEL, "--weights", "mutated.safetensors", *DIGITS], "mutated."),
    "architecture": ([*MODEL, "--weights", "other.safetensors", *DIGITS], "other."),
    "NaN in weights": ([*MODEL, "--weights", "nan.safetensors", *DIGITS], "nan.safetensors"),
    "pickle that runs code": ([*MODEL, "--weights", "evil.pt", *DIGITS], "evil.pt"),
    "pickle inside": ([*MODEL, "--weights", "evil_inside.pt", *DIGITS], "evil_inside.pt"),
    "whole module": ([*MODEL, "--weights", "module.pt", *DIGITS], "state dict"),
    "TorchScript": ([*MODEL, "--weights", "script.pt", *DIGITS], "TorchScript"),
    "pt2": ([*MODEL, "--weights", "exported.pt2", *DIGITS], "exported.pt2"),
    "unknown weights": ([*MODEL, "--weights", "weights.txt", *DIGITS], "weights must be one of"),
    "empty weights": ([*MODEL, "--weights", "empty.pt", *DIGITS], "empty.pt: empty"),
    "no such model": (["resnet", *DIGITS], "MODEL resnet: not known"),
    "no such module": (["py:nothere:Net", *DIGITS], "no module nothere"),
    "no such factory": (["py:mynet:DigitsMPL", *DIGITS], "DigitsMLP"),
    "weights for a model": (["good.safetensors", *DIGITS], "give MODEL --weights good.safetensors"),
    "no data": (MODEL, "--data is missing"),
    "no such data": ([*MODEL, "--data", "nowhere"], "DATA nowhere: no such folder or name"),
    "empty folder": ([*MODEL, *PICTURES, "--data", "no_pictures"], "no_pictures"),
    "one class": ([*MODEL, *PICTURES, "--data", "one_class"], "one_class"),
    "unreadable picture": ([*MODEL, *PICTURES, "--data", "unreadable"], "1/1.png"),
    "oversized picture": ([*MODEL, *PICTURES, "--data", "oversized"], "megapixels"),
    "size not told": ([*MODEL, "--data", "unreadable"], "--image-size"),
    "missing picture": ([*MODEL, *PICTURES, "--data", "gone.csv"], "row 3: no such file"),
    "no header": ([*MODEL, *PICTURES, "--data", "headless.csv"], "path and label"),
    "label in a table": ([*MODEL, *PICTURES, "--data", "labels.csv"], "labels.csv"),
    "NaN in an array": ([*MODEL, "--data", "nan.npz"], "x[3] holds NaN or infinity"),
    "label too high": ([*MODEL, "--data", "high.npz"], "label 10"),
    "label below zero": ([*MODEL, "--data", "negative.npz"], "label -1"),
    "no x": ([*MODEL, "--data", "nameless.npz"], "has no array x"),
    "wrong shape": ([*MODEL, "--data", "shape.npz"], "does not accept inputs of shape (1, 5, 8)"),
    "idle option": ([*MODEL, "--data", "fine.npz", "--image-size", "8"], "has no effect"),
    "one example": ([*MODEL, "--data", "single.npz"], "two examples or more"),
    "bits out of order": ([*MODEL, *DIGITS, "--bits", "8,4"], "--bits must increase"),
    "range out of order": ([*MODEL, *DIGITS, "--bits", "8:4"], "the range must increase"),
    "bits out of range": ([*MODEL, *DIGITS, "--bits", "1:4"], "--bits must lie in 2..16"),
    "bits beyond reason": ([*MODEL, *DIGITS, "--bits", "2:99999999999"], "the range must increase"),
    "infeasible budget": ([*MODEL, *DIGITS, "--budget", "11"], "feasible means are 3 to 10"),
    "between": ([*MODEL, *DIGITS, "--bits", "4,8", "--budget", "5"], "means between 4 and 8"),
    "scheme": ([*MODEL, *DIGITS, "--scheme", "persentile(99)"], "use paper, onnx or percentile(P)"),
    "threshold": ([*MODEL, *DIGITS, "--max-drop", "-3"], "--max-drop must be 0 or more"),
    "examples": ([*MODEL, *DIGITS, "--examples", "-3"], "--examples must be 0 or more"),
    "batch size": ([*MODEL, *DIGITS, "--batch-size", "0"], "--batch-size must be 1 or more"),
    "draws": ([*MODEL, *DIGITS, "--draws", "0"], "--draws must be 1 or more"),
    "seed": ([*MODEL, *DIGITS, "--seed", "-1"], "--seed must be 0 or more"),
    "no point": (["py:mynet:Pointless", *DIGITS], "no quantization point"),
    "no point left": ([*MODEL, *DIGITS, "--exclude", "*"], "left out"),
    "no labels": ([*MODEL, "--data", "fine2.npz", "--margin", "label"], "needs labels"),
    "fails in float": (["py:mynet:NotFinite", *DIGITS], "NaN or infinity in float already"),
    "not a run": ([*MODEL, *DIGITS, "--out", "one_class"], "holds no run"),
    "no plan": ([*MODEL, *DIGITS, "--plan", "no.yaml"], "--plan no.yaml: cannot be read"),
    "plan's key": ([*MODEL, *DIGITS, "--plan", "slip.yaml"], "did you mean float_points?"),
    "plan's layer": ([*MODEL, *DIGITS, "--plan", "layer.yaml"], "layer.yaml: float_points: the m"),
    "plan's floor": ([*MODEL, *DIGITS, "--plan", "floor.yaml"], "floor.yaml: floors: layers.3"),
    "plan's weights": ([*MODEL, *DIGITS, "--plan", "weights.yaml"], "weights.yaml: made for"),
    "out is a file": ([*MODEL, *DIGITS, "--out", "weights.txt"], "weights.txt"),
}  # fmt: skip


@pytest.fixture
def here(bad_things: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(bad_things)
    monkeypatch.syspath_prepend(bad_things)
    np.savez("fine2.npz", x=np.load("fine.npz")["x"])
    yield bad_things
    shutil.rmtree(bad_things / "runs", ignore_errors=True)


@pytest.mark.parametrize("case", sorted(CASES))
def test_one_line_exit_2_and_nothing_written(
    here: Path, capfd: pytest.CaptureFixture[str], case: str
) -> None:
    arguments, words = CASES[case]
    before = sorted(path for path in here.rglob("*") if "__pycache__" not in path.parts)
    assert run(["assess", *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert words in err, err
    assert err.startswith("bitcliff: error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    assert "internal error" not in err
    after = sorted(path for path in here.rglob("*") if "__pycache__" not in path.parts)
    assert after == before
    assert not Path("pwned").exists()


def test_a_model_that_ends_the_program_has_not_passed(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["assess", "py:mynet:Quitting", *DIGITS]) == 2
    line = "bitcliff: error: the model's own code ended the program (exit code 0)"
    assert capfd.readouterr().err.splitlines()[-1] == line
    assert not list((here / "runs").rglob("record.json"))
