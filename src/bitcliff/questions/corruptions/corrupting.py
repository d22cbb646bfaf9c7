"""From a model's inputs to images in [0, 1], corrupted, and back."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.corruption import Corruption
from bitcliff.types.subject import Inputs, Preprocessing

# Undoing a normalisation in float32 ends this close to [0, 1].
_TOLERANCE = 1e-3
NORMALISATION_SHIFT = "normalisation shift"
SHIFT = (0.1, 0.2, 0.3, 0.4, 0.5)

PerChannel = Float[Tensor, "channels 1 1"]


@dataclass(frozen=True)
class PictureScale:
    """How inputs and images hang together.

    Attributes:
        factor, shift: input = factor * image + shift, the image in [0, 1].
        mean, std: what the normalisation has already made 0 and 1, on the inputs; where there is no
            normalisation, the data's own.
        words: the same, for the record.
    """

    factor: PerChannel
    shift: PerChannel
    mean: PerChannel
    std: PerChannel
    words: str

    def to_pictures(self, inputs: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n c h w"]:
        """Inputs to images in [0, 1]."""
        return ((inputs - self.shift) / self.factor).clamp(0, 1)

    def to_inputs(self, pictures: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n c h w"]:
        """Images to inputs."""
        return pictures * self.factor + self.shift


def picture_scale(inputs: Inputs, preprocessing: Preprocessing | None) -> PictureScale:
    """By the subject's preprocessing; where there is none, or the data had none, by the data.

    Raises:
        InputError: the inputs are no images; the text says why.
    """
    if not isinstance(inputs, Tensor):
        raise InputError("the inputs are not images: the model takes several named tensors")
    if inputs.ndim != 4 or inputs.shape[1] not in (1, 3) or not inputs.is_floating_point():
        shape = " x ".join(map(str, inputs.shape[1:]))
        raise InputError(f"the inputs are not images of 1 or 3 channels: an example is {shape}")
    if preprocessing is not None:
        scale = _of_preprocessing(inputs, preprocessing)
        low, high = ((inputs - scale.shift) / scale.factor).aminmax()
        if -_TOLERANCE <= float(low) <= float(high) <= 1 + _TOLERANCE:
            return scale
    return _of_data(inputs)


def _of_preprocessing(inputs: Float[Tensor, "n c h w"], p: Preprocessing) -> PictureScale:
    mean, std = (inputs.new_tensor(values)[:, None, None] for values in (p.mean, p.std))
    return PictureScale(
        factor=255 * p.scale / std,
        shift=-mean / std,
        mean=torch.zeros_like(mean),
        std=torch.ones_like(std),
        words="the normalisation of the preprocessing was undone before and done again after",
    )


def _of_data(inputs: Float[Tensor, "n c h w"]) -> PictureScale:
    low, high = (float(end) for end in inputs.aminmax())
    if not low < high:
        raise InputError(f"all values of the inputs are {low:g}: no images")
    channels = inputs.transpose(0, 1).flatten(1).double()
    ones = inputs.new_ones(inputs.shape[1], 1, 1)
    return PictureScale(
        factor=ones * (high - low),
        shift=ones * low,
        mean=channels.mean(1).to(inputs.dtype)[:, None, None],
        std=channels.std(1).to(inputs.dtype)[:, None, None],
        words=f"the data comes without a normalisation: its values from {low:g} to {high:g} were "
        "taken as black to white, and its own mean and deviation as those to shift",
    )


def corrupted(
    value: Float[Tensor, "c h w"],
    scale: PictureScale,
    corruption: Corruption,
    degree: int,
    seed: int,
    name: str,
) -> Float[Tensor, "c h w"]:
    """One example's input, corrupted; by the arguments alone, whatever else is corrupted with it.

    Args:
        name: the example's id, which chance hangs on together with `seed` and the corruption. All
            degrees get the same draws, so that they differ in strength alone.
    """
    rng = _source_of_chance(seed, corruption.name, name)
    if corruption.name == NORMALISATION_SHIFT:
        standard = (value - scale.mean) / scale.std
        return corruption.apply(standard, degree, rng) * scale.std + scale.mean
    picture = corruption.apply(scale.to_pictures(value), degree, rng)
    return scale.to_inputs(picture.clamp(0, 1))


def _source_of_chance(seed: int, corruption: str, name: str) -> np.random.Generator:
    text = f"{seed}\n{corruption}\n{name}"
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()
    return np.random.default_rng(int.from_bytes(digest))


def _shift(
    x: Float[Tensor, "channels height width"], degree: int, rng: np.random.Generator
) -> Float[Tensor, "channels height width"]:
    """Normalised values as a mean and a standard deviation that are off would have made them.

    The mean is off by a share of the deviation, the deviation by that share, each of them up or
    down as it falls, for every channel.
    """
    amount = SHIFT[degree - 1]
    signs = torch.from_numpy(rng.choice([-1.0, 1.0], size=(2, len(x)))).to(x.dtype)
    mean, std = amount * signs[0], (1 + amount) ** signs[1]
    return (x - mean[:, None, None]) / std[:, None, None]


normalisation_shift = Corruption(
    NORMALISATION_SHIFT, "share of a deviation by which mean and deviation are off", SHIFT, _shift
)
"""The one corruption that acts on normalised inputs, and not on images."""
