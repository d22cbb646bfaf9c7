from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bitcliff.adapters import load_model
from bitcliff.adapters.black_box import BlackBoxSettings, load_black_box
from bitcliff.adapters.weights import file_sha256
from bitcliff.errors import InputError
from bitcliff.zoo.resnet import digits


def test_a_model_built_here_runs_without_gradient(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "digits.safetensors"
    save_file(digits().state_dict(), path)
    box = load_black_box("zoo:digits", BlackBoxSettings(weights=path, num_classes=10, batch=2))
    given = torch.rand(5, 1, 8, 8)
    outputs = box.ask(given)
    with torch.no_grad():
        expected = load_model("zoo:digits", weights=path).module(given)
    assert torch.allclose(outputs, expected, atol=1e-5)
    assert not outputs.requires_grad
    assert (box.name, box.identity) == ("zoo:digits", file_sha256(path))


def test_a_model_built_here_says_what_it_cannot_take() -> None:
    with pytest.raises(InputError, match=r"zoo:digits: failed on inputs of shape \(3, 8, 8\)"):
        load_black_box("zoo:digits").ask(torch.zeros(2, 3, 8, 8))
    with pytest.raises(InputError, match="gives scores for 10 classes, not for 7"):
        load_black_box("zoo:digits", BlackBoxSettings(num_classes=7)).ask(torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize("spec", ["nonsense", "", "net.pt", "ftp://host/v2/models/m"])
def test_unknown_names(spec: str) -> None:
    with pytest.raises(InputError, match=r"not known; give FILE\.onnx, http\(s\)://"):
        load_black_box(spec)


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ("net.onnx", BlackBoxSettings(weights=Path("w.pt")), "takes no file of weights"),
        ("call:a:b", BlackBoxSettings(weights=Path("w.pt")), "takes no file of weights"),
        ("call:a:b", BlackBoxSettings(output="y"), "has one output; leave output y out"),
        ("zoo:digits", BlackBoxSettings(output="y"), "has one output; leave output y out"),
    ],
)
def test_settings_that_do_not_apply(spec: str, settings: BlackBoxSettings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_black_box(spec, settings)
