"""What a user may set about a model or its data beyond their names."""

import math
from typing import Annotated, Any, Literal

from pydantic import field_validator

from bitcliff.errors import InputError
from bitcliff.types.settings import Option, Settings

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")

_LARGEST_SIDE = 4096


class ModelOptions(Settings):
    """Settings that override what a model's own configuration holds; None: as that has it."""

    num_classes: int | None = None
    """Outputs to build the model with."""
    image_size: int | None = None
    """Height and width of the input, pixels."""
    # One number, or one per channel, on the scaled pixel values (0..1, but 0..255 for
    # efficientnet-lite0). One number and a model without a configuration: grey images.
    mean: tuple[float, ...] | None = None
    """Overrides the model's own preprocessing."""
    std: tuple[float, ...] | None = None
    """Overrides the model's own preprocessing."""
    crop: float | None = None
    """Share kept by the centre crop."""
    interpolation: str | None = None
    """nearest, bilinear or bicubic."""
    initial: Annotated[Literal["random", "head"] | None, Option(absent="a training file's")] = None
    """For training. "random": a network of timm or torchvision begins at random. "head": one of its
    weights begins with a new classifier if `num_classes` is not theirs."""

    @field_validator("num_classes")
    @classmethod
    def _two_or_more(cls, classes: int | None) -> int | None:
        if classes is not None and classes < 2:
            raise InputError(f"--num-classes {classes}: must be at least 2")
        return classes

    @field_validator("image_size")
    @classmethod
    def _is_a_side(cls, side: int | None) -> int | None:
        if side is not None and not 1 <= side <= _LARGEST_SIDE:
            raise InputError(f"--image-size {side}: must be from 1 to {_LARGEST_SIDE} pixels")
        return side

    @field_validator("mean", "std")
    @classmethod
    def _for_channels(cls, values: tuple[float, ...] | None, info: Any) -> Any:
        if values is None:
            return None
        option, positive = f"--{info.field_name}", info.field_name == "std"
        if len(values) not in (1, 3):
            raise InputError(f"{option}: give one number or three, not {len(values)}")
        if not all(math.isfinite(v) and (v > 0 or not positive) for v in values):
            raise InputError(f"{option}: the numbers must be finite{' and positive' * positive}")
        return values

    @field_validator("crop")
    @classmethod
    def _is_a_share(cls, crop: float | None) -> float | None:
        if crop is not None and not 0 < crop <= 1:
            raise InputError(f"--crop {crop}: must be above 0 and at most 1")
        return crop

    @field_validator("interpolation")
    @classmethod
    def _is_known(cls, interpolation: str | None) -> str | None:
        if interpolation is not None and interpolation not in INTERPOLATIONS:
            raise InputError(
                f"--interpolation {interpolation}: must be one of {', '.join(INTERPOLATIONS)}"
            )
        return interpolation


class DataOptions(Settings):
    """Settings about the data."""

    # "test" or "train" for digits, fashion-mnist and oxford-iiit-pet; any split's name for `hf:`.
    split: str = "test"
    """Part of the data, if it has parts."""
