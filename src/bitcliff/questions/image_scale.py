"""From a model's inputs to images in [0, 1], and back."""

from dataclasses import dataclass, replace

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
        channels_last: inputs are (height, width, channels); images and all the rest never are.
    """

    factor: PerChannel
    shift: PerChannel
    mean: PerChannel
    std: PerChannel
    words: str
    channels_last: bool = False

    def to_images(self, inputs: Float[Tensor, "*n i j k"]) -> Float[Tensor, "*n c h w"]:
        """Inputs to images in [0, 1]."""
        return ((self.laid_out(inputs) - self.shift) / self.factor).clamp(0, 1)

    def to_inputs(self, images: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n i j k"]:
        """Images to inputs."""
        return self.as_taken(images * self.factor + self.shift)

    def laid_out(self, inputs: Float[Tensor, "*n i j k"]) -> Float[Tensor, "*n c h w"]:
        """Channels first, whatever the model takes."""
        return inputs.movedim(-1, -3) if self.channels_last else inputs

    def as_taken(self, values: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n i j k"]:
        """As the model takes them."""
        return values.movedim(-3, -1) if self.channels_last else values


def image_scale(inputs: Inputs, preprocessing: Preprocessing | None) -> ImageScale:
    """By the subject's preprocessing; where there is none, or the data had none, by the data.

    Raises:
        InputError: the inputs are no images; the text says why.
    """
    if not isinstance(inputs, Tensor):
        raise InputError("the inputs are not images: the model takes several named tensors")
    images = channels_first(inputs) if inputs.is_floating_point() else None
    if images is None:
        shape = " x ".join(map(str, inputs.shape[1:]))
        raise InputError(f"the inputs are not images of 1 or 3 channels: an example is {shape}")
    found = _of_preprocessing(images, preprocessing) if preprocessing is not None else None
    if found is not None:
        low, high = ((images - found.shift) / found.factor).aminmax()
        if not -_TOLERANCE <= float(low) <= float(high) <= 1 + _TOLERANCE:
            found = None
    return replace(found or _of_data(images), channels_last=images is not inputs)


def channels_first(inputs: Float[Tensor, "n *rest"]) -> Float[Tensor, "n c h w"] | None:
    """Images of 1 or 3 channels, themselves where channels come first; None where there are none.

    Where both the second and the last dimension could be channels, the second is taken.
    """
    if inputs.ndim != 4 or not {1, 3} & {inputs.shape[1], inputs.shape[-1]}:
        return None
    return inputs if inputs.shape[1] in (1, 3) else inputs.movedim(-1, 1)


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
