"""From a model's inputs to images in [0, 1], and back."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.subject import AllInputs, Preprocessing, channel_axis, in_parts

# Undoing a normalisation in float32 ends this close to [0, 1].
_TOLERANCE = 1e-3

PerChannel = Float[Tensor, "channels 1 1"]


@dataclass(frozen=True)
class Layout:
    """How a model takes images, which have channels first and red before blue everywhere else.

    Attributes:
        channels_last: inputs are (height, width, channels). bgr: blue comes first in them.
    """

    channels_last: bool
    bgr: bool

    def laid_out(self, inputs: Float[Tensor, "*n i j k"]) -> Float[Tensor, "*n c h w"]:
        """As all the rest has images, whatever the model takes."""
        first = inputs.movedim(-1, -3) if self.channels_last else inputs
        return first.flip(-3) if self.bgr else first

    def as_taken(self, values: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n i j k"]:
        """As the model takes them."""
        values = values.flip(-3) if self.bgr else values
        return values.movedim(-3, -1) if self.channels_last else values


@dataclass(frozen=True)
class ImageScale:
    """How inputs and images hang together.

    Attributes:
        factor, shift: input = factor * image + shift, the image in [0, 1].
        mean, std: what the normalisation has already made 0 and 1, on the inputs; where there is no
            normalisation, the data's own.
        words: the same, for the record.
        layout: of the inputs; images and the numbers above are laid out.
    """

    factor: PerChannel
    shift: PerChannel
    mean: PerChannel
    std: PerChannel
    words: str
    layout: Layout

    def to_images(self, inputs: Float[Tensor, "*n i j k"]) -> Float[Tensor, "*n c h w"]:
        """Inputs to images in [0, 1]."""
        return ((self.layout.laid_out(inputs) - self.shift) / self.factor).clamp(0, 1)

    def to_inputs(self, images: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n i j k"]:
        """Images to inputs."""
        return self.layout.as_taken(images * self.factor + self.shift)


def image_scale(every: AllInputs, preprocessing: Preprocessing | None) -> ImageScale:
    """By the subject's preprocessing; where there is none, or the data had none, by the data.

    Raises:
        InputError: the inputs are no images; the text says why.
    """
    # What is read as needed is the images of the preprocessing, all alike.
    inputs = next(in_parts(every))
    if not isinstance(inputs, Tensor):
        raise InputError("the inputs are not images: the model takes several named tensors")
    layout = layout_of(inputs, preprocessing) if inputs.is_floating_point() else None
    if layout is None:
        shape = " x ".join(map(str, inputs.shape[1:]))
        raise InputError(f"the inputs are not images of 1 or 3 channels: an example is {shape}")
    images = layout.laid_out(inputs)
    if preprocessing is not None:
        found = by_preprocessing(preprocessing, layout, inputs)
        low, high = ((images - found.shift) / found.factor).aminmax()
        if -_TOLERANCE <= float(low) <= float(high) <= 1 + _TOLERANCE:
            return found
    return _of_data(images, layout)


def layout_of(
    inputs: Float[Tensor, "n *rest"], preprocessing: Preprocessing | None
) -> Layout | None:
    """Of images of 1 or 3 channels; None where there are none."""
    axis = channel_axis(inputs.shape, preprocessing)
    if axis is None:
        return None
    return Layout(channels_last=axis == 3, bgr=preprocessing is not None and preprocessing.bgr)


def by_preprocessing(p: Preprocessing, layout: Layout, like: Tensor) -> ImageScale:
    """What undoes a normalisation, in the type of `like`."""
    mean, std = (like.new_tensor(values)[:, None, None] for values in (p.mean, p.std))
    if p.bgr:  # They are in the input's order.
        mean, std = mean.flip(0), std.flip(0)
    return ImageScale(
        factor=255 * p.scale / std,
        shift=-mean / std,
        mean=torch.zeros_like(mean),
        std=torch.ones_like(std),
        words="the normalisation of the preprocessing was undone before and done again after",
        layout=layout,
    )


def _of_data(inputs: Float[Tensor, "n c h w"], layout: Layout) -> ImageScale:
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
        layout=layout,
    )
