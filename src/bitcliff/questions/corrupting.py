"""One example's input, corrupted as an image."""

import hashlib

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.questions.image_scale import ImageScale
from bitcliff.types.corruption import Corruption, Degree, strength_at

NORMALISATION_SHIFT = "normalisation shift"
SHIFT = (0.1, 0.2, 0.3, 0.4, 0.5)


def corrupted(
    value: Float[Tensor, "a b c"],
    scale: ImageScale,
    corruption: Corruption,
    degree: int,
    seed: int,
    name: str,
) -> Float[Tensor, "a b c"]:
    """One example's input, corrupted; by the arguments alone, whatever else is corrupted with it.

    Args:
        name: the example's id, which chance hangs on together with `seed` and the corruption. All
            degrees get the same draws, so that they differ in strength alone.
    """
    rng = _source_of_chance(seed, corruption.name, name)
    return applied(value, scale, corruption, degree, rng)


def applied(
    value: Float[Tensor, "a b c"],
    scale: ImageScale,
    corruption: Corruption,
    degree: Degree,
    rng: np.random.Generator,
) -> Float[Tensor, "a b c"]:
    """One example's input with this corruption, as chance draws it."""
    if corruption.name == NORMALISATION_SHIFT:
        standard = (scale.layout.laid_out(value) - scale.mean) / scale.std
        shifted = corruption.apply(standard, degree, rng) * scale.std + scale.mean
        return scale.layout.as_taken(shifted)
    picture = corruption.apply(scale.to_images(value), degree, rng)
    return scale.to_inputs(picture.clamp(0, 1))


def _source_of_chance(seed: int, corruption: str, name: str) -> np.random.Generator:
    text = f"{seed}\n{corruption}\n{name}"
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()
    return np.random.default_rng(int.from_bytes(digest))


def _shift(
    x: Float[Tensor, "channels height width"], degree: Degree, rng: np.random.Generator
) -> Float[Tensor, "channels height width"]:
    """Normalised values as a mean and a standard deviation that are off would have made them.

    The mean is off by a share of the deviation, the deviation by that share, each of them up or
    down as it falls, for every channel.
    """
    amount = strength_at(SHIFT, degree)
    signs = torch.from_numpy(rng.choice([-1.0, 1.0], size=(2, len(x)))).to(x.dtype)
    mean, std = amount * signs[0], (1 + amount) ** signs[1]
    return (x - mean[:, None, None]) / std[:, None, None]


normalisation_shift: Corruption = Corruption(
    NORMALISATION_SHIFT, "share of a deviation by which mean and deviation are off", SHIFT, _shift
)
"""The one corruption that acts on normalised inputs, and not on images."""
