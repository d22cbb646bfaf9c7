"""What a user may set about a model or its data beyond their names."""

import math
from dataclasses import dataclass
from typing import Literal

from bitcliff.errors import InputError

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")

_LARGEST_SIDE = 4096


@dataclass(frozen=True)
class ModelOptions:
    """Settings that override what a model's own configuration says.

    Attributes:
        num_classes: outputs to build the model with; None: as the weights or the library have it.
        image_size: height and width of the input, pixels.
        mean, std: one number, or one per channel, on the scaled pixel values (0..1, but 0..255 for
            efficientnet-lite0). One number and a model that says nothing of itself: grey pictures.
        crop: share of the resized picture that the centre crop keeps, in (0, 1].
        interpolation: one of INTERPOLATIONS.
        initial: for training. "random": a network of timm or torchvision begins at random. "head":
            one of its weights begins with a new classifier if `num_classes` is not theirs.

    Raises:
        InputError: a value is out of its range.
    """

    num_classes: int | None = None
    image_size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    crop: float | None = None
    interpolation: str | None = None
    initial: Literal["random", "head"] | None = None

    def __post_init__(self) -> None:
        if self.num_classes is not None and self.num_classes < 2:
            raise InputError(f"--num-classes {self.num_classes}: must be at least 2")
        if self.image_size is not None and not 1 <= self.image_size <= _LARGEST_SIDE:
            raise InputError(
                f"--image-size {self.image_size}: must be from 1 to {_LARGEST_SIDE} pixels"
            )
        if self.crop is not None and not 0 < self.crop <= 1:
            raise InputError(f"--crop {self.crop}: must be above 0 and at most 1")
        if self.interpolation is not None and self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f"--interpolation {self.interpolation}: must be one of {', '.join(INTERPOLATIONS)}"
            )
        _check_channels("--mean", self.mean, positive=False)
        _check_channels("--std", self.std, positive=True)


def _check_channels(option: str, values: tuple[float, ...] | None, positive: bool) -> None:
    if values is None:
        return
    if len(values) not in (1, 3):
        raise InputError(f"{option}: give one number or three, not {len(values)}")
    if not all(math.isfinite(v) and (v > 0 or not positive) for v in values):
        raise InputError(f"{option}: the numbers must be finite{' and positive' * positive}")


@dataclass(frozen=True)
class DataOptions:
    """Settings about the data.

    Attributes:
        split: which part to take where the data comes in parts: "test" or "train" for digits,
            fashion-mnist and oxford-iiit-pet; any split's name for `hf:`.
    """

    split: str = "test"
