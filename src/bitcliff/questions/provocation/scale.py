"""From what a network takes to values between 0 and 1, in which sets are told, and back."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.questions.image_scale import ImageScale, image_scale
from bitcliff.types.subject import AllInputs, Preprocessing, in_parts

_LEVELS = 255


@dataclass(frozen=True)
class Scale:
    """One of images, or of plain features, each of which goes from its least to its greatest value.

    Attributes:
        images: where the inputs are some. low, width: of each feature, where they are not.
        levels: whole numbers that an image's values are in files; 0: none.
    """

    images: ImageScale | None
    low: Tensor
    width: Tensor
    levels: int

    def to_images(self, inputs: Tensor) -> Tensor:
        """Of a batch."""
        if self.images is not None:
            return self.images.to_images(inputs)
        return (inputs - self.low) / self.width

    def to_inputs(self, images: Tensor) -> Tensor:
        """Of a batch."""
        if self.images is not None:
            return self.images.to_inputs(images)
        return images * self.width + self.low

    def gradient_to_images(self, gradient: Tensor) -> Tensor:
        """Of one example: the gradient in inputs as one in images."""
        if self.images is not None:
            return self.images.layout.laid_out(gradient) * self.images.factor
        return gradient * self.width


def scale_of(inputs: AllInputs, preprocessing: Preprocessing | None) -> Scale:
    """Of all the data.

    Raises:
        InputError: they are neither images nor other tensors of floats.
    """
    first = next(in_parts(inputs))
    try:
        scale = image_scale(inputs, preprocessing)
    except InputError:
        if not (isinstance(inputs, Tensor) and inputs.is_floating_point()):
            raise
        low, high = inputs.amin(0), inputs.amax(0)
        return Scale(None, low, torch.where(high > low, high - low, 1.0).to(low), 0)
    assert isinstance(first, Tensor)  # noqa: S101  (`image_scale` has seen to it)
    return Scale(scale, torch.empty(0), torch.empty(0), _LEVELS)
