import random
import textwrap
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from torchvision.transforms import v2

from bitcliff.adapters.augmentation import AugmentationSettings, View, make_view
from bitcliff.errors import InputError
from bitcliff.types.subject import Preprocessing

RGB = Preprocessing(size=(28, 28), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
GREY = Preprocessing(size=(28, 28), channels=1, mean=(0.5,), std=(0.25,))
# EfficientNet-Lite0's: on values from 0 to 255.
WIDE = replace(RGB, scale=1.0, mean=(127.0,) * 3, std=(128.0,) * 3)
EACH: dict[str, dict[str, Any]] = {
    "resized_crop": {"resized_crop": (0.2, 0.8)},
    "rand_augment": {"rand_augment": 2, "rand_augment_magnitude": 15},
    "colour_jitter": {"colour_jitter": 0.5},
    "hue_jitter": {"hue_jitter": 0.2},
    "flip": {"flip": 0.5},
    "padded_crop": {"padded_crop": 4},
}
HUELESS = ("hue_jitter", 1)  # has a test of its own
ALL = AugmentationSettings(**{key: value for one in EACH.values() for key, value in one.items()})


def images(
    n: int = 16, channels: int = 3, side: int = 28, preprocessing: Preprocessing | None = None
) -> torch.Tensor:
    """The same image n times, as training holds it: black to white, and normalised."""
    shape = (channels, side, side)
    plain = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    plain[:, 0, 0], plain[:, 0, 1] = 0, 1
    return normalised(plain.expand(n, *shape), preprocessing)


def normalised(plain: torch.Tensor, p: Preprocessing | None) -> torch.Tensor:
    if p is None:
        return plain.clone()
    mean, std = torch.tensor(p.mean)[:, None, None], torch.tensor(p.std)[:, None, None]
    return (plain * 255 * p.scale - mean) / std


def seen(view: View, x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return view(x)


@pytest.mark.parametrize("side", [8, 28, 64])
@pytest.mark.parametrize("preprocessing", [None, RGB, WIDE, GREY])
def test_shape_type_and_range_are_kept(preprocessing: Preprocessing | None, side: int) -> None:
    channels = preprocessing.channels if preprocessing else 1
    x = images(48, channels, side, preprocessing)
    before = x.clone()
    got = seen(make_view(ALL, preprocessing), x)
    assert torch.equal(x, before)
    assert (got.shape, got.dtype) == (x.shape, x.dtype)
    assert got.isfinite().all()
    black = normalised(torch.zeros(channels, 1, 1), preprocessing)
    white = normalised(torch.ones(channels, 1, 1), preprocessing)
    slack = 1e-6 * (white - black)
    assert ((got >= black - slack) & (got <= white + slack)).all()


@pytest.mark.parametrize("preprocessing", [RGB, GREY])
def test_the_seed_alone_decides(preprocessing: Preprocessing) -> None:
    x, view = images(16, preprocessing.channels, 28, preprocessing), make_view(ALL, preprocessing)
    first = seen(view, x, seed=1)
    random.seed(7)
    np.random.seed(7)
    others = random.getstate(), np.random.get_state()[1].tobytes()  # type: ignore[index]
    assert torch.equal(seen(make_view(ALL, preprocessing), x, seed=1), first)
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == others  # type: ignore[index]
    assert not torch.equal(seen(view, x, seed=2), first)


@pytest.mark.parametrize(
    ("name", "channels"),
    [(name, channels) for name in EACH for channels in (1, 3) if (name, channels) != HUELESS],
)
def test_each_image_of_a_batch_gets_its_own_draw(name: str, channels: int) -> None:
    x = images(24, channels)
    got = seen(make_view(AugmentationSettings(**EACH[name]), None), x)
    different = {row.numpy().tobytes() for row in got}
    assert len(different) == 2 if name == "flip" else len(different) >= 12
    assert any(not torch.equal(row, x[0]) for row in got)


def test_all_off_is_the_image_itself() -> None:
    x = images(preprocessing=RGB)
    off = AugmentationSettings(rand_augment_magnitude=5)
    assert off.off
    assert torch.equal(make_view(off, RGB)(x), x)


@pytest.mark.parametrize(("channels", "preprocessing"), [(1, None), (3, None), (3, RGB), (1, GREY)])
def test_a_certain_flip_mirrors(channels: int, preprocessing: Preprocessing | None) -> None:
    x = images(4, channels, 28, preprocessing)
    got = make_view(AugmentationSettings(flip=1.0), preprocessing)(x)
    if preprocessing is None:
        assert torch.equal(got, x.flip(-1))
    # The normalisation is undone and done again, with nothing lost but float32's last digits.
    torch.testing.assert_close(got, x.flip(-1), rtol=0, atol=2e-6)


def test_a_padded_crop_moves_the_image_by_whole_pixels() -> None:
    x = torch.zeros(64, 1, 9, 9)
    x[:, 0, 4, 4] = 1
    got = seen(make_view(AugmentationSettings(padded_crop=2), None), x)
    positions = got.nonzero()
    assert torch.equal(positions[:, 0], torch.arange(64))
    assert set(positions[:, 2].tolist()) == set(positions[:, 3].tolist()) == {2, 3, 4, 5, 6}
    assert (got[got != 0] == 1).all()


def test_a_resized_crop_enlarges_a_part() -> None:
    ramp = torch.linspace(0, 1, 28).expand(32, 1, 28, 28).contiguous()
    got = seen(make_view(AugmentationSettings(resized_crop=(0.2, 0.3)), None), ramp)
    spans = (got.amax((1, 2, 3)) - got.amin((1, 2, 3))).square()
    # Its width is the root of the area's share times the root of 3/4 to 4/3, to whole pixels.
    assert spans.min() > 0.2 * 0.75 * 0.8
    assert spans.max() < 0.3 * 1.34 * 1.2


@pytest.mark.parametrize("settings", [{"hue_jitter": 0.5}, {"colour_jitter": 1.0}])
def test_jitter_leaves_grey_images_without_colour(settings: dict[str, Any]) -> None:
    grey, view = images(8, channels=1), make_view(AugmentationSettings(**settings), None)
    got = seen(view, grey)
    assert torch.equal(got, grey) == ("hue_jitter" in settings)
    # A colour image of equal channels is the same image: nothing but rounding may differ.
    as_rgb = seen(view, grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(as_rgb, got.expand(-1, 3, -1, -1), rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        (
            {"rand_augment": 3, "rand_augment_magnitude": 12},
            v2.RandAugment(3, 12, interpolation=v2.InterpolationMode.BILINEAR),
        ),
        ({"colour_jitter": 0.4, "hue_jitter": 0.1}, v2.ColorJitter(0.4, 0.4, 0.4, 0.1)),
    ],
)
def test_operations_are_torchvisions(settings: dict[str, Any], reference: v2.Transform) -> None:
    x = images(32)
    got = seen(make_view(AugmentationSettings(**settings), None), x)
    torch.manual_seed(0)
    assert torch.equal(got, torch.stack([reference(row).clamp(0, 1) for row in x]))


def test_what_rounding_left_outside_the_range_is_cut_off() -> None:
    view = make_view(AugmentationSettings(rand_augment=1), None)
    x = images(100)
    wider = (x - 0.5) * 1.001 + 0.5
    assert wider.max() > 1.0004
    assert torch.equal(seen(view, wider), seen(view, wider.clamp(0, 1)))


def test_every_operation_of_randaugment_works_on_grey_and_tiny_images() -> None:
    # 14 operations, one each of 400 images: a miss of any one has chance 14 * (13/14)**400.
    view = make_view(AugmentationSettings(rand_augment=1, rand_augment_magnitude=30), None)
    for channels in (1, 3):
        got = seen(view, images(400, channels, side=8))
        assert got.isfinite().all()
        assert len({row.numpy().tobytes() for row in got}) >= 14


@pytest.mark.parametrize(
    ("x", "preprocessing", "message"),
    [
        (torch.rand(2, 64), None, r"needs images, grey or RGB; these have shape \(2, 64\)"),
        (torch.rand(2, 4, 8, 8), None, r"needs images.* shape \(2, 4, 8, 8\)"),
        (torch.rand(2, 1, 8, 8) * 255, None, "where 0 to 1 is expected"),
        (torch.randn(2, 3, 8, 8) * 3, RGB, "where 0 to 1 is expected"),
        (torch.full((2, 1, 8, 8), torch.nan), None, "from nan to nan"),
    ],
)
def test_what_is_not_images_in_range(
    x: torch.Tensor, preprocessing: Preprocessing | None, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make_view(AugmentationSettings(flip=0.5), preprocessing)(x)
    assert "\n" not in str(caught.value)


def test_the_documented_recipe_is_valid_yaml_and_turns_all_on() -> None:
    text = (AugmentationSettings.__doc__ or "").split("YAML file:")[1].split("Attributes:")[0]
    settings = AugmentationSettings.model_validate(yaml.safe_load(textwrap.dedent(text)))
    assert all(getattr(settings, name) for name in EACH)
    assert (settings.rand_augment, settings.rand_augment_magnitude) == (2, 9)
    assert not settings.off


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resized_crop": [0.9, 0.1]}, "the smaller share comes first"),
        ({"resized_crop": [0.0, 1.0]}, "greater than 0"),
        ({"flip": float("nan")}, "should be a finite number"),
        ({"hue_jitter": 0.6}, "less than or equal to 0.5"),
        ({"rand_augment_magnitude": 31}, "less than or equal to 30"),
        ({"padded_crop": -1}, "greater than or equal to 0"),
        ({"flips": 0.5}, "Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AugmentationSettings.model_validate(settings)
