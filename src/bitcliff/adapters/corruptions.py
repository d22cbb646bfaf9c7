"""Corruptions of images by torchvision's functions and Pillow's JPEG; design/010 says why.

All that chance decides is drawn alike at every degree: an example is turned to the same side and
erased around the same pixel, only further.
"""

import io
import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.adapters.optional import require
from bitcliff.types.corruption import Corruption, Degree, either_way, noise_like, strength_at
from bitcliff.types.settings import DEGREES

Image = Float[Tensor, "channels height width"]

JPEG_QUALITY = (80, 50, 25, 12, 6)
JITTER = (0.15, 0.3, 0.45, 0.6, 0.75)
ERASED_AREA = (0.04, 0.08, 0.16, 0.24, 0.33)
NOISE_STD = (0.04, 0.08, 0.12, 0.18, 0.26)
ROTATION_ANGLE = (5, 10, 15, 25, 35)
SHEAR_ANGLE = (5, 10, 15, 20, 30)
# Grey, and spread so that two standard deviations reach black and white.
_FILL_MEAN, _FILL_STD = 0.5, 0.25


def image_corruptions() -> tuple[Corruption, ...]:
    """The eight corruptions of images; what shifts the normalisation needs no library.

    Raises:
        MissingExtra: torchvision or Pillow is not installed.
    """
    f: Any = require("torchvision.transforms.v2.functional", "vision", "corruptions")
    # torchvision's own is deprecated, and gives the same.
    pillow: Any = require("PIL.Image", "vision", "corruptions")
    bilinear = f.InterpolationMode.BILINEAR

    def jpeg(x: Image, degree: Degree, _: np.random.Generator) -> Image:
        pixels = (x * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        buffer = io.BytesIO()
        image = pillow.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        image.save(buffer, "JPEG", quality=round(strength_at(JPEG_QUALITY, degree, 100)))
        read = np.asarray(pillow.open(buffer)).reshape(pixels.shape).transpose(2, 0, 1)
        return torch.from_numpy(read / 255).to(x.dtype)

    def blur(x: Image, degree: Degree, _: np.random.Generator) -> Image:
        side = min(x.shape[1:])
        sigma = blur_sigma(degree, side)
        # Three standard deviations either way, but no further than mirroring at the edge reaches.
        kernel = 2 * min(math.ceil(3 * sigma), side - 1) + 1
        return f.gaussian_blur(x, [kernel, kernel], [sigma, sigma])  # type: ignore[no-any-return]

    def brightness(x: Image, degree: Degree, rng: np.random.Generator) -> Image:
        return f.adjust_brightness(x, 1 + either_way(rng) * strength_at(JITTER, degree))  # type: ignore[no-any-return]

    def contrast(x: Image, degree: Degree, rng: np.random.Generator) -> Image:
        return f.adjust_contrast(x, 1 + either_way(rng) * strength_at(JITTER, degree))  # type: ignore[no-any-return]

    def erasing(x: Image, degree: Degree, rng: np.random.Generator) -> Image:
        top, left, height, width = _rectangle(x.shape[1], x.shape[2], degree, rng)
        fill = (_FILL_MEAN + _FILL_STD * noise_like(x, rng))[:, :height, :width]
        return f.erase(x, top, left, height, width, fill)  # type: ignore[no-any-return]

    def noise(x: Image, degree: Degree, rng: np.random.Generator) -> Image:
        return x + strength_at(NOISE_STD, degree) * noise_like(x, rng)

    def rotation(x: Image, degree: Degree, rng: np.random.Generator) -> Image:
        angle = either_way(rng) * strength_at(ROTATION_ANGLE, degree)
        return f.rotate(x, angle, interpolation=bilinear)  # type: ignore[no-any-return]

    def skew(x: Image, degree: Degree, rng: np.random.Generator) -> Image:
        angle, sideways = either_way(rng) * strength_at(SHEAR_ANGLE, degree), rng.random() < 0.5
        shear = [angle, 0.0] if sideways else [0.0, angle]
        return f.affine(x, 0.0, [0, 0], 1.0, shear, interpolation=bilinear)  # type: ignore[no-any-return]

    return (
        Corruption("JPEG", "quality", JPEG_QUALITY, jpeg),
        Corruption("Gaussian blur", "σ, in units of 0.2 px + side / 400", DEGREES, blur),
        Corruption("brightness", "times 1 ± this", JITTER, brightness),
        Corruption("contrast", "times 1 ± this", JITTER, contrast),
        Corruption("random erasing", "share of the area", ERASED_AREA, erasing),
        Corruption("Gaussian noise", "σ, with black at 0 and white at 1", NOISE_STD, noise),
        Corruption("rotation", "degrees of angle, either way", ROTATION_ANGLE, rotation),
        Corruption("skew", "degrees of angle, along either side", SHEAR_ANGLE, skew),
    )


def blur_sigma(degree: Degree, side: int) -> float:
    """Standard deviation of the blur, px, for an image whose shorter side is `side` px."""
    return degree * (0.2 + side / 400)


def _rectangle(
    height: int, width: int, degree: Degree, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Top, left, height and width, px: of the degree's area, proportions 3:10 to 10:3."""
    ratio = math.exp(rng.uniform(math.log(0.3), math.log(1 / 0.3)))
    area = strength_at(ERASED_AREA, degree) * height * width
    tall = min(height, max(1, round(math.sqrt(area * ratio))))
    wide = min(width, max(1, round(area / tall)))
    down, across = rng.random(2)
    return round(down * (height - tall)), round(across * (width - wide)), tall, wide
