"""What a user may set about a model or its data beyond their names."""

import math
import re
from typing import Annotated, Any, Literal

from pydantic import field_validator

from bitcliff.errors import InputError
from bitcliff.types.settings import Option, Settings

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")

_LARGEST_SIDE = 4096
_OUTPUT = re.compile(r"\s*\d{1,9}\s*", re.ASCII)


class ModelOptions(Settings):
    """Settings that override what a model's own configuration holds; None: as that has it."""

    num_classes: int | None = None
    """Outputs to build the model with."""
    image_size: int | tuple[int, int] | None = None
    """Side of the input in pixels, or HEIGHTxWIDTH where it is not square; a FILE.onnx declares its
    own."""
    channels: Literal["rgb", "bgr", "grey"] | None = None
    """Of an image, in the order in which the model takes them: red, green, blue by default."""
    # One number, or one per channel, on the scaled pixel values (0..1, but 0..255 for
    # efficientnet-lite0).
    mean: tuple[float, ...] | None = None
    """Overrides the model's own preprocessing."""
    std: tuple[float, ...] | None = None
    """Overrides the model's own preprocessing."""
    crop: float | None = None
    """Share kept by the centre crop."""
    interpolation: str | None = None
    """nearest, bilinear or bicubic."""
    output: str | None = None
    """Which of the network's outputs is judged: a name, or a number from 0."""
    task: Annotated[str | None, Option(default="as its output shows")] = None
    """What a decision is: classification (the largest score), threshold:NUMBER (the side on which
    one score lies), next-token (of a language model); or whether the outcome is as labelled, else
    as in float: classification:topK (a class among the K best), continuation:K (tokens),
    detection:SCORE (boxes), positions:SHARE or iou:SHARE (a class at each, of tokens or pixels),
    ctc:BLANK (a string), labels:NUMBER (any of several), values:TOLERANCE or values:PERCENT%,
    embedding (the nearest neighbour, also embedding:gallery=FILE.npz), verification:COSINE (pairs),
    embedding:COSINE (the vector), span (an answer in a text); or py:package.module:factory
    (yours)."""
    initial: Annotated[Literal["random", "head"] | None, Option(absent="a training file's")] = None
    """For training. "random": a network of timm or torchvision begins at random. "head": one of its
    weights begins with a new classifier if `num_classes` is not theirs."""

    @field_validator("num_classes")
    @classmethod
    def _two_or_more(cls, classes: int | None) -> int | None:
        if classes is not None and classes < 2:
            raise InputError(f"--num-classes {classes}: must be at least 2")
        return classes

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the input, pixels."""
        side = self.image_size
        return (side, side) if isinstance(side, int) else side

    @field_validator("image_size", mode="before")
    @classmethod
    def _is_written_as_sides(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        if not re.fullmatch(r"\d{1,9}(x\d{1,9})?", given, re.ASCII):
            raise InputError(
                f"--image-size {given}: give one side in pixels such as 224, or HEIGHTxWIDTH such "
                "as 48x192"
            )
        sides = [int(side) for side in given.split("x")]
        return tuple(sides) if sides[1:] else sides[0]

    @field_validator("image_size")
    @classmethod
    def _is_of_sides(cls, size: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
        for side in [size] if isinstance(size, int) else size or ():
            if not 1 <= side <= _LARGEST_SIDE:
                raise InputError(f"--image-size {side}: must be from 1 to {_LARGEST_SIDE} pixels")
        return size

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
    labels: str | None = None
    """Targets for a folder of images: boxes, as COCO's FILE.json or a folder of Pascal VOC's .xml;
    or class maps, as a folder of images with the same names."""
    label_map: Annotated[
        dict[str, int] | None, Option(default="by class names, else in natural order")
    ] = None
    """Which output of the model each label of the data stands for: NAME=OUTPUT,NAME=OUTPUT, outputs
    counted from 0."""

    @field_validator("label_map", mode="before")
    @classmethod
    def _is_written_as_pairs(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        pairs = [pair.rpartition("=") for pair in given.split(",")]
        names = [name.strip() for name, _, _ in pairs]
        if not all(names) or not all(_OUTPUT.fullmatch(output) for _, _, output in pairs):
            raise InputError(
                f"--label-map {given}: give NAME=OUTPUT,NAME=OUTPUT, outputs counted from 0, such "
                "as cat=0,dog=1"
            )
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"--label-map {given}: names {twice} twice")
        return {name: int(output) for name, (_, _, output) in zip(names, pairs, strict=True)}
