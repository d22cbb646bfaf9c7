import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from bitcliff.adapters import ModelOptions, load_model
from bitcliff.adapters.images import to_input
from bitcliff.errors import InputError
from bitcliff.types.subject import Subject

NAME = "test_resnet.r160_in1k"


def saved(path: Path, name: str = NAME, outputs: int = 1000) -> Path:
    torch.manual_seed(0)
    save_file(timm.create_model(name, num_classes=outputs).state_dict(), path)
    return path


def loaded(folder: Path, name: str = NAME, outputs: int = 1000) -> Subject:
    return load_model(f"timm:{name}", weights=saved(folder / "w.safetensors", name, outputs))


@pytest.mark.parametrize("name", [NAME, "test_vit", "test_efficientnet", "test_convnext"])
def test_weights_load_exactly_and_outputs_follow_them(tmp_path: Path, name: str) -> None:
    subject = loaded(tmp_path, name, outputs=7)
    torch.manual_seed(0)
    reference = timm.create_model(name, num_classes=7).eval()
    x = torch.randn(2, 3, 160, 160)
    assert torch.equal(subject.module(x), reference(x))
    assert subject.class_names is None


def test_class_names_come_with_the_thousand_outputs(tmp_path: Path) -> None:
    names = loaded(tmp_path).class_names
    assert names is not None
    assert (len(names), names[0]) == (1000, "tench, Tinca tinca")


@pytest.mark.parametrize(
    "name",
    [
        NAME,
        "test_vit",
        "resnet18",
        "resnet50.a1_in1k",
        "mobilenetv3_small_050",
        "vit_base_patch16_siglip_224",
        "inception_v3",
        "tf_efficientnetv2_s",
    ],
)
def test_preprocessing_agrees_with_timms_own_eval_transform(name: str) -> None:
    from bitcliff.adapters.timm_models import _preprocessing

    with torch.device("meta"):
        model = timm.create_model(name)
    data: Any = importlib.import_module("timm.data")
    config = data.resolve_model_data_config(model)
    theirs = data.create_transform(**config, is_training=False)
    ours = _preprocessing(timm, model, name)
    rng = np.random.default_rng(0)
    for width, height in [(500, 375), (333, 500), (400, 400), (90, 201)]:
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        torch.testing.assert_close(to_input(image, ours, "x"), theirs(image), rtol=0, atol=2e-6)


def test_an_image_size_is_given_to_transformers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_vit", img_size=96)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    options = ModelOptions(image_size=96)
    subject = load_model("timm:test_vit", weights=tmp_path / "w.safetensors", options=options)
    assert subject.module(torch.zeros(1, 3, 96, 96)).shape == (1, 1000)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="another architecture than timm:test_vit"):
        load_model("timm:test_vit", weights=path)


@pytest.mark.parametrize("name", ["resnet19", "no/such:thing", "ResNet18"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"timm:{name}: timm has no such model"):
        load_model(f"timm:{name}")


def test_an_unknown_tag_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="Invalid pretrained tag"):
        load_model("timm:test_resnet.nothing", weights=path)


def test_without_network_it_says_to_pass_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"pass --weights FILE\.safetensors") as caught:
        load_model(f"timm:{NAME}")
    assert "\n" not in str(caught.value)
    assert huggingface_hub.constants.HF_HUB_OFFLINE is True
