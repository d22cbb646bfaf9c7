"""Random views of images for training, by torchvision's transforms.

All draws come from torch's global random state: seeded alike, a view is the same to the last bit.
"""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor

from bitcliff.adapters.optional import require
from bitcliff.errors import InputError
from bitcliff.types.subject import Preprocessing
from bitcliff.types.value import Value

View = Callable[[Tensor], Tensor]
"""A batch of images (batch, channels, height, width) to one of the same shape and range."""

# Undoing a normalisation in float32 ends this close to [0, 1].
_TOLERANCE = 1e-3

_Share = Annotated[float, Field(gt=0, le=1)]


class AugmentationSettings(Value):
    """What a random view does, in this order; all is off by default.

    What the paper's "patient and consistent" distillation does (section 4; Beyer et al. 2022), its
    RandAugment, jitter and padding with numbers of ours, in a YAML file:

        resized_crop: [0.08, 1.0]
        rand_augment: 2
        colour_jitter: 0.4
        hue_jitter: 0.1
        flip: 0.5
        padded_crop: 4

    Attributes:
        resized_crop: least and largest share of the area that a crop keeps, its sides 3:4 to 4:3;
            it is resized to the whole image's size.
        rand_augment: operations an image (RandAugment's N).
        rand_augment_magnitude: of each of them, 0 to 30 (RandAugment's M).
        colour_jitter: brightness, contrast and saturation are each multiplied by 1 - this to
            1 + this.
        hue_jitter: the hue turns by up to this share of the circle, either way.
        flip: probability of a mirrored image, left to right.
        padded_crop: px of black put on each side before a random crop of the image's size.
    """

    resized_crop: tuple[_Share, _Share] | None = None
    rand_augment: Annotated[int, Field(ge=0)] = 0
    rand_augment_magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    colour_jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    hue_jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    padded_crop: Annotated[int, Field(ge=0, le=1024)] = 0

    @field_validator("resized_crop")
    @classmethod
    def _in_order(cls, shares: tuple[float, float] | None) -> tuple[float, float] | None:
        if shares is not None and shares[0] > shares[1]:
            raise ValueError("the smaller share comes first")
        return shares

    @property
    def off(self) -> bool:
        """Whether a view is the image itself."""
        jitter = self.colour_jitter, self.hue_jitter
        return not any((self.resized_crop, self.rand_augment, *jitter, self.flip, self.padded_crop))


def make_view(settings: AugmentationSettings, preprocessing: Preprocessing | None) -> View:
    """A function from images to random views of them, each with draws of its own.

    The normalisation is undone before and done again after. Grey images have no hue and no
    saturation, so jitter and RandAugment's operation on colour leave these alone.

    Args:
        preprocessing: how the images were normalised; None: they are in [0, 1] as they are.

    Returns:
        The identity if all is off. Else a function that raises InputError for what is not images.

    Raises:
        MissingExtra: torchvision is not installed.
    """
    if settings.off:
        return lambda images: images
    v2: Any = require("torchvision.transforms.v2", "vision", "augmentation")

    def view(images: Float[Tensor, "batch *rest"]) -> Float[Tensor, "batch *rest"]:
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            shape = tuple(images.shape)
            raise InputError(f"augmentation: needs images, grey or RGB; these have shape {shape}")
        factor, shift = _normalisation(preprocessing, images)
        plain = _in_range((images - shift) / factor)
        height, width = images.shape[-2:]
        transform = v2.Compose(_transforms(v2, settings, (height, width)))
        # One by one: given a batch, the transforms draw once for all of it.
        seen = torch.stack([transform(image) for image in plain])
        return seen.clamp(0, 1) * factor + shift

    return view


def _transforms(v2: Any, settings: AugmentationSettings, size: tuple[int, int]) -> list[Any]:
    jitter = settings.colour_jitter
    bilinear = v2.InterpolationMode.BILINEAR
    steps = []
    if settings.resized_crop:
        steps.append(v2.RandomResizedCrop(size, scale=settings.resized_crop, antialias=True))
    if settings.rand_augment:
        magnitude = settings.rand_augment_magnitude
        steps.append(v2.RandAugment(settings.rand_augment, magnitude, interpolation=bilinear))
    if jitter or settings.hue_jitter:
        steps.append(v2.ColorJitter(jitter, jitter, jitter, settings.hue_jitter))
    if settings.flip:
        steps.append(v2.RandomHorizontalFlip(settings.flip))
    if settings.padded_crop:
        steps.append(v2.RandomCrop(size, padding=settings.padded_crop))
    return steps


def _normalisation(
    preprocessing: Preprocessing | None, images: Float[Tensor, "batch channels height width"]
) -> tuple[Float[Tensor, "#channels 1 1"], Float[Tensor, "#channels 1 1"]]:
    """The factor and shift that take images in [0, 1] to the model's inputs."""
    if preprocessing is None:
        return images.new_ones(1, 1, 1), images.new_zeros(1, 1, 1)
    mean = images.new_tensor(preprocessing.mean)[:, None, None]
    std = images.new_tensor(preprocessing.std)[:, None, None]
    return 255 * preprocessing.scale / std, -mean / std


def _in_range(
    plain: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    low, high = plain.min().item(), plain.max().item()
    if not -_TOLERANCE <= low <= high <= 1 + _TOLERANCE:
        raise InputError(
            f"augmentation: images go from {low:.3g} to {high:.3g} where 0 to 1 is expected; "
            "give data in [0, 1], or a model whose preprocessing made it"
        )
    return plain.clamp(0, 1)  # a white above 1 would turn black where an operation takes 8 bits
