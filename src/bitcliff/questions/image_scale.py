"""From a model's inputs to images in [0, 1], and back."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.subject import Inputs, Preprocessing

# Undoing a normalisation in float32 ends this close to [0, 1].
_TOLERANCE = 1e-3

PerChannel = Float[Tensor, "channels 1 1"]


@dataclass(frozen=True)
class ImageScale:
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

    def to_images(self, inputs: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n c h w"]:
        """Inputs to images in [0, 1]."""
        return ((inputs - self.shift) / self.factor).clamp(0, 1)

    def to_inputs(self, images: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n c h w"]:
        """Images to inputs."""
        return images * self.factor + self.shift


def image_scale(inputs: Inputs, preprocessing: Preprocessing | None) -> ImageScale:
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


def _of_preprocessing(inputs: Float[Tensor, "n c h w"], p: Preprocessing) -> ImageScale:
    mean, std = (inputs.new_tensor(values)[:, None, None] for values in (p.mean, p.std))
    return ImageScale(
        factor=255 * p.scale / std,
        shift=-mean / std,
        mean=torch.zeros_like(mean),
        std=torch.ones_like(std),
        words="the normalisation of the preprocessing was undone before and done again after",
    )


def _of_data(inputs: Float[Tensor, "n c h w"]) -> ImageScale:
    low, high = (float(end) for end in inputs.aminmax())
    if not low < high:
        raise InputError(f"all values of the inputs are {low:g}: no images")
    channels = inputs.transpose(0, 1).flatten(1).double()
    ones = inputs.new_ones(inputs.shape[1], 1, 1)
    return ImageScale(
        factor=ones * (high - low),
        shift=ones * low,
        mean=channels.mean(1).to(inputs.dtype)[:, None, None],
        std=channels.std(1).to(inputs.dtype)[:, None, None],
        words=f"the data comes without a normalisation: its values from {low:g} to {high:g} were "
        "taken as black to white, and its own mean and deviation as those to shift",
    )
