"""The corruptions against Pillow, SciPy and NumPy, and what they owe the degrees."""

import math

import numpy as np
import pytest
import torch
from jaxtyping import Float
from PIL import Image, ImageEnhance
from scipy import fft, ndimage
from torch import Tensor

from bitcliff.adapters import load_examples, load_model
from bitcliff.adapters.corruptions import (
    ERASED_AREA,
    JITTER,
    JPEG_QUALITY,
    NOISE_STD,
    ROTATION_ANGLE,
    SHEAR_ANGLE,
    blur_sigma,
    image_corruptions,
)
from bitcliff.questions.corrupting import corrupted, normalisation_shift
from bitcliff.questions.image_scale import image_scale
from bitcliff.types.corruption import Corruption
from bitcliff.types.settings import DEGREES

BY_NAME = {one.name: one for one in (*image_corruptions(), normalisation_shift)}
Images = Float[Tensor, "n c h w"]


@pytest.fixture(scope="module")
def photographs() -> Images:
    subject = load_model("efficientnet-lite0")
    inputs = load_examples("imagenet-20", subject=subject).inputs
    assert isinstance(inputs, Tensor)
    return image_scale(inputs, subject.preprocessing).to_images(inputs)


@pytest.fixture(scope="module")
def digits() -> Images:
    inputs = load_examples("digits", subject=load_model("base-digits"), limit=40).inputs
    assert isinstance(inputs, Tensor)
    return inputs


class Heads(np.random.Generator):
    """Chance that always gives the same: the first of two, the middle of a range."""

    def __init__(self, value: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.value = value

    def random(self, size: int | None = None) -> object:  # type: ignore[override]
        return self.value if size is None else np.full(size, self.value)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:  # type: ignore[override]
        return low + self.value * (high - low)


def _applied(name: str, x: Tensor, degree: int, chance: float = 0.25) -> np.ndarray:
    return BY_NAME[name].apply(x, degree, Heads(chance)).numpy()


def _pillow(x: Tensor) -> Image.Image:
    pixels = (x * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])


# ITU-T T.81, table K.1: how coarsely each frequency of a grey block is kept at quality 50.
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


@pytest.mark.parametrize("degree", DEGREES)
def test_jpeg_keeps_the_frequencies_that_the_standard_keeps(
    photographs: Images, degree: int
) -> None:
    quality = JPEG_QUALITY[degree - 1]
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    table = np.clip((_LUMINANCE * percent + 50) // 100, 1, 255)
    x = photographs[0].mean(0, keepdim=True)
    pixels = np.rint(x[0].numpy() * 255) - 128
    blocks = pixels.reshape(28, 8, 28, 8).transpose(0, 2, 1, 3)
    kept = np.rint(fft.dctn(blocks, axes=(2, 3), norm="ortho") / table) * table
    values = fft.idctn(kept, axes=(2, 3), norm="ortho").transpose(0, 2, 1, 3).reshape(224, 224)
    expected = np.clip(np.rint(values + 128), 0, 255) / 255
    off = np.abs(_applied("JPEG", x, degree)[0] - expected) * 255
    # libjpeg computes in whole numbers: the last digit may differ, and with it, seldom, a step.
    assert np.quantile(off, 0.9) <= 1.01
    assert off.mean() < 0.5


def test_jpeg_keeps_the_order_of_the_colours() -> None:
    x = torch.tensor([0.9, 0.5, 0.1])[:, None, None].expand(3, 16, 16)
    assert np.abs(_applied("JPEG", x, 1) - x.numpy()).max() < 0.02


@pytest.mark.parametrize("degree", DEGREES)
def test_blur_is_scipys(photographs: Images, degree: int) -> None:
    x = photographs[1]
    sigma = blur_sigma(degree, 224)
    radius = math.ceil(3 * sigma)
    expected = ndimage.gaussian_filter(x.numpy(), (0, sigma, sigma), mode="mirror", radius=radius)
    assert np.abs(_applied("Gaussian blur", x, degree) - expected).max() < 1e-4


def test_blur_meets_the_usual_benchmarks() -> None:
    # ImageNet-C at 224 px: 1 to 6 px; CIFAR-10-C at 32 px: 0.4 to 1 px.
    assert 0.7 <= blur_sigma(1, 224) <= 1 <= blur_sigma(5, 224) <= 6
    assert 0.2 <= blur_sigma(1, 32) <= 0.4 <= 1 <= blur_sigma(5, 32) <= 1.5


def test_an_image_too_small_for_its_blur_is_blurred_all_the_same() -> None:
    x = torch.rand(1, 3, 2, generator=torch.Generator().manual_seed(0))
    assert _applied("Gaussian blur", x, 5).shape == (1, 3, 2)


@pytest.mark.parametrize(("chance", "sign"), [(0.25, 1), (0.75, -1)])
@pytest.mark.parametrize("degree", DEGREES)
def test_brightness_and_contrast_are_pillows(
    photographs: Images, degree: int, chance: float, sign: int
) -> None:
    x = photographs[2]
    for name, enhance in (
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
    ):
        image = enhance(_pillow(x)).enhance(1 + sign * JITTER[degree - 1])
        expected = np.asarray(image).transpose(2, 0, 1) / 255
        # Pillow counts in whole steps of 1 / 255, also the mean that contrast turns about.
        found = np.clip(_applied(name, x, degree, chance), 0, 1)
        assert np.abs(found - expected).max() < 2.5 / 255


@pytest.mark.parametrize("degree", DEGREES)
def test_rotation_is_scipys(photographs: Images, degree: int) -> None:
    x = ndimage.gaussian_filter(photographs[3].numpy(), (0, 2, 2))
    angle = ROTATION_ANGLE[degree - 1]
    expected = ndimage.rotate(x, angle, axes=(1, 2), reshape=False, order=1, mode="constant")
    found = _applied("rotation", torch.from_numpy(x), degree)
    whole = ndimage.rotate(np.ones((224, 224)), angle, reshape=False, order=1) > 0.999
    assert np.abs(found - expected)[:, ndimage.binary_erosion(whole)].max() < 1e-3
    back = _applied("rotation", torch.from_numpy(x), degree, 0.75)
    other = ndimage.rotate(x, -angle, axes=(1, 2), reshape=False, order=1, mode="constant")
    assert np.abs(back - other)[:, ndimage.binary_erosion(whole[:, ::-1])].max() < 1e-3


@pytest.mark.parametrize("degree", DEGREES)
def test_skew_is_scipys(photographs: Images, degree: int) -> None:
    x = ndimage.gaussian_filter(photographs[4].numpy(), (0, 2, 2))
    tangent = math.tan(math.radians(SHEAR_ANGLE[degree - 1]))
    for chance, matrix in (
        (0.25, np.array([[1.0, 0.0], [tangent, 1.0]])),
        (0.75, np.array([[1.0, -tangent], [0.0, 1.0]])),
    ):
        middle = np.array([111.5, 111.5])
        offset = middle - matrix @ middle
        found = _applied("skew", torch.from_numpy(x), degree, chance)
        for channel, expected in zip(found, x, strict=True):
            moved = ndimage.affine_transform(expected, matrix, offset, order=1)
            whole = (
                ndimage.affine_transform(np.ones_like(expected), matrix, offset, order=1) > 0.999
            )
            assert np.abs(channel - moved)[ndimage.binary_erosion(whole)].max() < 2e-3


@pytest.mark.parametrize("degree", DEGREES)
def test_erasing_fills_one_rectangle_of_its_area_with_noise(
    photographs: Images, degree: int
) -> None:
    for seed in range(20):
        x = photographs[5]
        found = BY_NAME["random erasing"].apply(x, degree, np.random.default_rng(seed))
        changed = (found != x).any(0).numpy()
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert changed.mean() == pytest.approx(tall * wide / 224**2)
        assert changed.mean() == pytest.approx(ERASED_AREA[degree - 1], rel=0.02)
        assert 0.29 < tall / wide < 3.5
        inside = found.numpy()[:, changed]
        assert inside.mean() == pytest.approx(0.5, abs=0.02)
        assert inside.std() == pytest.approx(0.25, abs=0.02)


def test_erasing_reaches_every_corner() -> None:
    x, ends = torch.zeros(1, 16, 16), set()
    for seed in range(400):
        changed = BY_NAME["random erasing"].apply(x, 3, np.random.default_rng(seed))[0] != 0
        corners = (changed[0, 0], changed[0, -1], changed[-1, 0], changed[-1, -1])
        ends |= {index for index, corner in enumerate(corners) if corner}
    assert ends == {0, 1, 2, 3}


@pytest.mark.parametrize("degree", DEGREES)
def test_noise_is_numpys(photographs: Images, degree: int) -> None:
    x = photographs[6]
    found = BY_NAME["Gaussian noise"].apply(x, degree, np.random.default_rng(7)).numpy()
    noise = np.random.default_rng(7).standard_normal((3, 224, 224))
    expected = x.numpy() + NOISE_STD[degree - 1] * noise
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("corruption", BY_NAME.values(), ids=list(BY_NAME))
@pytest.mark.parametrize("data", ["photographs", "digits"])
def test_a_higher_degree_goes_further(
    corruption: Corruption, data: str, request: pytest.FixtureRequest
) -> None:
    images = request.getfixturevalue(data)
    scale = image_scale(images, None)
    distances = [
        float(
            torch.stack(
                [
                    (corrupted(x, scale, corruption, degree, 0, str(index)) - x).abs().mean()
                    for index, x in enumerate(images)
                ]
            ).mean()
        )
        for degree in DEGREES
    ]
    assert distances[0] > 0
    assert distances == sorted(set(distances))


@pytest.mark.parametrize("corruption", image_corruptions(), ids=lambda one: one.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_keep_their_shape_type_and_range(corruption: Corruption, channels: int) -> None:
    x = torch.rand(6, channels, 12, 9, generator=torch.Generator().manual_seed(channels))
    x[0], x[1] = 0.0, 1.0
    before = x.clone()
    scale = image_scale(x, None)
    for degree in DEGREES:
        for index, image in enumerate(x):
            found = corrupted(image, scale, corruption, degree, 1, str(index))
            assert found.shape == image.shape
            assert found.dtype == image.dtype
            assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert torch.equal(x, before)
