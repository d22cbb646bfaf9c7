from pathlib import Path

import pytest
import torch

from bitcliff.adapters import load_model
from bitcliff.errors import InputError


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("efficientnet-lite1", "did you mean efficientnet-lite0.*timm:NAME"),
        ("resnet18", "not known.*timm:NAME, torchvision:NAME, hf:DIR, py:"),
        ("timm:", "the name after the colon is missing"),
        ("timm", "the name after the colon is missing"),
        ("keras:x", "not known"),
        ("nowhere.onnx", r"nowhere\.onnx: no such file; give a network exported as FILE\.onnx"),
        ("nowhere/net.ONNX", "no such file"),
        ("net.pt", "MODEL --weights net.pt"),
        ("", "not known"),
    ],
)
def test_names_that_stand_for_nothing_say_what_is_accepted(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_model(spec)
    assert "\n" not in str(caught.value)


def test_weights_are_looked_at_before_the_model_is_built(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pt: no such file"):
        load_model("timm:no_such_model_either", weights=tmp_path / "none.pt")


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(3, 3).state_dict(), tmp_path / "w.pt")
    # 49 convolutions, 49 BatchNorms of four tensors each, and the classifier's two.
    with pytest.raises(InputError, match="another architecture than efficientnet-lite0: 247 keys"):
        load_model("efficientnet-lite0", weights=tmp_path / "w.pt")
