"""Features of inputs against Pillow, scipy and brute force."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageStat
from scipy import ndimage

from bitcliff.audit import Audit
from bitcliff.questions.context import Context, Side
from bitcliff.questions.input_features import (
    as_pixels,
    distances_to,
    distances_within,
    features_of,
    image_features,
)
from bitcliff.types.subject import Preprocessing
from tests.contract.subjects import SETTINGS, Tokens
from tests.questions.inputs.planted import context_of, steady_run


def _images(channels: int) -> torch.Tensor:
    return torch.rand(5, channels, 9, 7, generator=torch.Generator().manual_seed(channels))


def test_against_pillow() -> None:
    bytes_ = (255 * _images(3)).round()
    found = image_features(bytes_)
    for place, image in enumerate(bytes_):
        image = Image.fromarray(image.to(torch.uint8).permute(1, 2, 0).numpy()).convert("L")
        known = ImageStat.Stat(image)
        # Pillow rounds each grey pixel to a whole number.
        assert float(found[0, place]) == pytest.approx(known.mean[0], abs=0.51)
        assert float(found[1, place]) == pytest.approx(known.stddev[0], abs=0.51)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_against_scipy(channels: int) -> None:
    images = _images(channels)
    weights = [0.299, 0.587, 0.114] if channels == 3 else [1 / channels] * channels
    found = image_features(images)
    for place, image in enumerate(images.double().numpy()):
        grey = np.average(image, axis=0, weights=weights)
        inside = ndimage.laplace(grey)[1:-1, 1:-1]
        expected = [grey.mean(), grey.std(), inside.var()]
        assert found[:, place].tolist() == pytest.approx(expected, rel=1e-6)


def test_blur_is_less_sharp_and_two_pixels_are_too_few() -> None:
    image = _images(1)
    blurred = torch.nn.functional.avg_pool2d(image, 3, 1, 1)
    assert bool((image_features(blurred)[2] < image_features(image)[2]).all())
    assert bool(image_features(image[..., :2])[2].isnan().all())


GREY = Preprocessing(size=(6, 6), channels=1, mean=(0.3,), std=(0.2,))


def _normalised(side: Side, words: str, done: Preprocessing = GREY) -> Side:
    before = side.prepared
    subject = replace(before.subject, preprocessing=done)
    examples = replace(before.examples, preprocessing=words)
    return replace(side, prepared=replace(before, subject=subject, examples=examples))


def test_normalisation_is_undone() -> None:
    _, side = steady_run(n=8)
    x = _images(1)
    same, words = as_pixels(x, side)
    assert torch.equal(same, x)
    assert words == "the model’s input"
    pixels, words = as_pixels((x - 0.3) / 0.2, _normalised(side, "resized"))
    assert torch.allclose(pixels, x, atol=1e-6)
    assert "the pixels that the model sees" in words
    # Arrays are taken as they are, whatever the model would do to pictures.
    assert as_pixels(x, _normalised(side, "none: taken as they are"))[0] is x


def test_red_comes_before_blue_in_pixels_whatever_the_model_takes() -> None:
    x = _images(3)
    done = Preprocessing((9, 7), mean=(0.3, 0.4, 0.5), std=(0.2, 0.3, 0.4), bgr=True)
    side = _normalised(steady_run(n=8)[1], "resized", done)
    mean, std = (x.new_tensor(part)[:, None, None] for part in (done.mean, done.std))
    torch.testing.assert_close(as_pixels((x.flip(1) - mean) / std, side)[0], x)


def test_distances_by_brute_force() -> None:
    noise = torch.Generator().manual_seed(0)
    x, y = torch.randn(9, 4, generator=noise).double(), torch.randn(7, 4, generator=noise).double()
    mine = torch.tensor([0, 0, 0, 1, 1, 2, -1, 3, 0])
    theirs = torch.tensor([0, 1, 1, 0, 3, -1, 0])
    y[6] = torch.inf
    within, apart = distances_within(x, mine), distances_to(x, mine, y, theirs)
    for i in range(9):
        others = [j for j in range(9) if j != i and mine[j] == mine[i] >= 0]
        known = [j for j in range(6) if theirs[j] == mine[i] >= 0]
        for found, rows in ((within, x[others]), (apart, y[known])):
            if len(rows):
                expected = float((x[i] - rows.mean(0)).norm())
                assert float(found[i]) == pytest.approx(expected)
            else:
                assert bool(found[i].isnan())


def test_a_feature_that_is_not_finite_has_no_distance() -> None:
    x = torch.tensor([[1.0], [2.0], [torch.inf], [4.0]]).double()
    found = distances_within(x, torch.zeros(4).long())
    assert found[[0, 1, 3]].tolist() == pytest.approx([2.0, 0.5, 2.5])
    assert bool(found[2].isnan())


def test_training_side_gives_the_means() -> None:
    record, test = steady_run(n=30)
    _, train = steady_run(n=40, seed=5)
    context = context_of(record, test)
    alone, beside = (
        next(m for m in features_of(c)[0] if m.key == "distance")
        for c in (context, Context(record, (), test, replace(train, split="train")))
    )
    assert "to the mean of the other examples of its class" in alone.measured
    assert "to the mean of the training examples of its class" in beside.measured
    assert "layers.2" in beside.measured
    assert not np.allclose(alone.values, beside.values)


def test_texts_have_a_length_and_no_brightness() -> None:
    class Masked(Tokens):
        def forward(self, tokens: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return super().forward(tokens, attention_mask)

    lengths = torch.tensor([2, 3, 4, 5, 5, 2, 3, 4])
    batch = {
        "tokens": torch.randint(0, 11, (8, 5), generator=torch.Generator().manual_seed(4)),
        "attention_mask": torch.arange(5) < lengths[:, None],
    }
    audit = Audit(Masked().eval(), [batch], settings=SETTINGS)
    record = audit.assess(command="made by the tests")
    measured, missing = features_of(Context(record, (), Side("test", audit.prepared, {})))
    assert {one.key: one.reason for one in missing} == dict.fromkeys(
        ("brightness", "contrast", "sharpness"),
        "the inputs are not images (channels, height, width)",
    ) | {"loudness": "the inputs are not sounds (samples)"}
    by_key = {one.key: one.values.tolist() for one in measured}
    assert by_key["length"] == lengths.tolist()
    assert set(by_key) == {"distance", "length"}
