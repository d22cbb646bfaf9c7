import io
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms

from bitcliff.adapters import ModelOptions, load_examples, load_model
from bitcliff.adapters.optional import package_folder
from bitcliff.errors import InputError
from bitcliff.types.subject import Subject


@pytest.fixture(scope="module")
def subject() -> Subject:
    return load_model("efficientnet-lite0")


def test_the_built_in_default_is_right_on_18_of_20(subject: Subject) -> None:
    seen: list[tuple[int, int]] = []
    examples = load_examples(
        "imagenet-20", subject=subject, progress=lambda done, all_: seen.append((done, all_))
    )
    assert examples.labels is not None
    with torch.no_grad():
        right = subject.module(examples.inputs).argmax(1) == examples.labels
    assert int(right.sum()) == 18
    assert seen == [(20, 20)]
    assert len(set(examples.ids)) == examples.n_available == 20
    assert examples.labels[:3].tolist() == [243, 559, 438]
    assert subject.class_names is not None
    assert subject.class_names[243] == "bull mastiff"
    assert "bicubic" in examples.preprocessing


def test_its_preprocessing_agrees_with_torchvision(subject: Subject) -> None:
    examples = load_examples("imagenet-20", subject=subject)
    steps = transforms.Compose(
        [
            transforms.Resize(256, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.PILToTensor(),
        ]
    )
    folder = package_folder("foolbox", "demo", "the test") / "data"
    for row, name in enumerate(examples.ids):
        expected = (steps(Image.open(folder / name)).float() - 127) / 128
        assert isinstance(examples.inputs, torch.Tensor)
        torch.testing.assert_close(examples.inputs[row], expected, rtol=0, atol=1e-6)


def test_it_is_frozen_in_eval_mode_and_hashed_by_its_file(subject: Subject) -> None:
    assert not subject.module.training
    assert not any(p.requires_grad for p in subject.module.parameters())
    # The package names its file after the start of its SHA-256.
    assert subject.weights_sha256.startswith("57934424")
    assert not subject.runs_user_code


def test_thumbnails_are_small_jpegs(subject: Subject) -> None:
    import base64

    examples = load_examples("imagenet-20", subject=subject, limit=3)
    assert examples.thumbnails is not None
    assert len(examples.thumbnails) == len(examples) == 3
    for uri in examples.thumbnails:
        head, _, body = uri.partition(",")
        assert head == "data:image/jpeg;base64"
        image = Image.open(io.BytesIO(base64.b64decode(body)))
        assert (image.format, max(image.size) <= 96) == ("JPEG", True)


def test_weights_with_other_outputs_change_the_classifier(subject: Subject, tmp_path: Path) -> None:
    state = dict(subject.module.state_dict())
    state["_fc.weight"], state["_fc.bias"] = torch.zeros(7, 1280), torch.zeros(7)
    save_file(state, tmp_path / "w.safetensors")
    other = load_model("efficientnet-lite0", weights=tmp_path / "w.safetensors")
    assert other.module.state_dict()["_fc.bias"].shape == (7,)
    assert other.class_names is None
    with pytest.raises(InputError, match=r"label 243 of imagenet_00_243\.jpg is out of range"):
        load_examples("imagenet-20", subject=other)


def test_options_override_and_are_reported(subject: Subject) -> None:
    options = ModelOptions(image_size=128, interpolation="bilinear")
    other = load_model("efficientnet-lite0", options=options)
    assert other.preprocessing is not None
    assert other.preprocessing.size == (128, 128)
    assert "--image-size, --interpolation from the options" in other.preprocessing.source
    examples = load_examples("imagenet-20", subject=other, limit=2)
    assert isinstance(examples.inputs, torch.Tensor)
    assert examples.inputs.shape == (2, 3, 128, 128)
