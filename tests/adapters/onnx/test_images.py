"""Folders of images for files of every layout."""

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper

from bitcliff.adapters import ModelOptions, load_examples, load_model
from bitcliff.adapters.onnx.images import image_preprocessing
from bitcliff.errors import InputError
from bitcliff.questions.image_scale import image_scale
from tests.adapters.image_files import an_image, save_image
from tests.adapters.onnx.networks import by_hand, save

MEANS = ModelOptions(mean=(0.5,), std=(0.25,))


def network(path: Path, height: int, width: int, *, last: bool) -> str:
    """Two convolutions, with weights that hang on the size alone."""
    rng = np.random.default_rng(height)
    weights = {
        "first": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "second": rng.normal(size=(5, 4, 3, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t" if last else "x", "first"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["y"]),  # (batch, 5, 1, 1)
    ]
    shape: list[int | str] = ["n", height, width, 3] if last else ["n", 3, height, width]
    return save(by_hand(nodes[not last :], weights, shape=shape), path)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for number in range(4):
        save_image(tmp_path / "images" / f"{number}.png", an_image(40 + 9 * number, 30, number))
    return str(tmp_path / "images")


@pytest.mark.parametrize(("height", "width"), [(12, 12), (10, 24)])
def test_images_lie_as_the_file_declares(
    tmp_path: Path, folder: str, height: int, width: int
) -> None:
    found = []
    for last in (False, True):
        spec = network(tmp_path / f"{last}.onnx", height, width, last=last)
        subject = load_model(spec, options=MEANS)
        examples = load_examples(folder, subject=subject)
        assert isinstance(examples.inputs, torch.Tensor)
        found.append((examples.inputs, subject.module(examples.inputs).flatten(1)))
        assert ("channels last" in examples.preprocessing) == last
        assert ("whatever its proportions" in examples.preprocessing) == (height != width)
    (first, scores), (turned, others) = found
    assert turned.shape == (4, height, width, 3)
    assert torch.equal(first, turned.permute(0, 3, 1, 2))
    torch.testing.assert_close(scores, others)


def test_channels_may_come_in_the_other_order(tmp_path: Path, folder: str) -> None:
    spec = network(tmp_path / "net.onnx", 12, 12, last=True)
    inputs = []
    for channels in ("rgb", "bgr"):
        options = ModelOptions.model_validate({"mean": (0.1, 0.2, 0.3), "channels": channels})
        examples = load_examples(folder, subject=load_model(spec, options=options))
        assert examples.preprocessing.startswith(channels.upper())
        assert isinstance(examples.inputs, torch.Tensor)
        inputs.append(examples.inputs + torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(inputs[0], inputs[1].flip(-1))


def test_images_come_back_whatever_the_layout(tmp_path: Path, folder: str) -> None:
    spec = network(tmp_path / "net.onnx", 10, 24, last=True)
    subject = load_model(spec, options=MEANS)
    inputs = load_examples(folder, subject=subject).inputs
    assert isinstance(inputs, torch.Tensor)
    scale = image_scale(inputs, subject.preprocessing)
    images = scale.to_images(inputs)
    assert images.shape == (4, 3, 10, 24)
    torch.testing.assert_close(images, inputs.permute(0, 3, 1, 2) * 0.25 + 0.5)
    torch.testing.assert_close(scale.to_inputs(images), inputs)


@pytest.mark.parametrize(
    ("shape", "options", "size", "channels", "last"),
    [
        ((None, 3, 48, 192), {"mean": (0.5,)}, (48, 192), 3, False),
        ((None, 60, 160, 1), {"mean": (0.5,)}, (60, 160), 1, True),
        ((None, None, None, 3), {"image_size": "48x192"}, (48, 192), 3, True),
        ((None, 1, 48, None), {"image_size": "48x192"}, (48, 192), 1, False),
        ((None, None, 8, 8), {"channels": "grey"}, (8, 8), 1, False),
        ((1, 3, 3, 3), {"mean": (0.5,)}, (3, 3), 3, False),
        (None, {"image_size": "8"}, (8, 8), 3, False),
        ((None, 7), {"image_size": "8"}, (8, 8), 3, False),
    ],
)
def test_what_a_shape_says(
    shape: tuple[int | None, ...] | None,
    options: dict[str, object],
    size: tuple[int, int],
    channels: int,
    last: bool,
) -> None:
    whole, but_for = image_preprocessing(shape, ModelOptions.model_validate(options), "net.onnx")
    assert (whole is None) == (len(shape or ()) == 4 and "mean" not in options)
    found = whole or but_for
    assert found is not None
    assert (found.size, found.channels, found.channels_last) == (size, channels, last)


def test_another_size_than_declared_is_refused() -> None:
    options = ModelOptions(image_size=(48, 190))
    with pytest.raises(InputError, match=r"takes images of 48 x 192; leave --image-size out"):
        image_preprocessing((None, 3, 48, 192), options, "net.onnx")
    with pytest.raises(InputError, match=r"--channels grey: the model takes images of 3 channel"):
        image_preprocessing((None, 3, 8, 8), ModelOptions(channels="grey"), "net.onnx")
