from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

from bitcliff.adapters import ModelOptions, load_model
from bitcliff.adapters.images import to_input
from bitcliff.adapters.torchvision_models import _preprocessing
from bitcliff.errors import InputError


def saved(path: Path, name: str, outputs: int) -> Path:
    torch.manual_seed(0)
    save_file(torchvision.models.get_model(name, num_classes=outputs).state_dict(), path)
    return path


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5"])
def test_weights_load_exactly_and_outputs_follow_them(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / "w.safetensors", name, 7)
    subject = load_model(f"torchvision:{name}", weights=path)
    torch.manual_seed(0)
    reference = torchvision.models.get_model(name, num_classes=7).eval()
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(subject.module(x), reference(x))
    assert subject.class_names is None
    assert "Weights.IMAGENET1K_V1" in str(subject.preprocessing)


def test_class_names_come_with_the_thousand_outputs(tmp_path: Path) -> None:
    subject = load_model(
        "torchvision:resnet18", weights=saved(tmp_path / "w.safetensors", "resnet18", 1000)
    )
    assert subject.class_names is not None
    assert subject.class_names[:2] == ("tench", "goldfish")


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "swin_t", "efficientnet_b3", "vit_b_16", "inception_v3"]
)
def test_preprocessing_agrees_with_torchvisions_own(name: str) -> None:
    default = torchvision.models.get_model_weights(name).DEFAULT
    ours, theirs = _preprocessing(default, torch.nn.Identity(), name), default.transforms()
    rng = np.random.default_rng(0)
    for width, height in [(500, 375), (333, 500), (400, 400), (90, 201)]:
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        torch.testing.assert_close(to_input(image, ours, "x"), theirs(image), rtol=0, atol=2e-6)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"torchvision has no such model; did you mean .*resnet18"):
        load_model("torchvision:resnet19")


def test_without_network_it_says_to_pass_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise URLError("Name or service\nnot known")

    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    monkeypatch.setattr("torch.hub.os.path.exists", lambda _: False)
    with pytest.raises(InputError, match=r"not known.*pass --weights FILE\.safetensors") as caught:
        load_model("torchvision:resnet18")
    assert "\n" not in str(caught.value)


def test_outputs_without_weights_make_no_sense() -> None:
    with pytest.raises(InputError, match="--num-classes needs --weights"):
        load_model("torchvision:resnet18", options=ModelOptions(num_classes=5))
