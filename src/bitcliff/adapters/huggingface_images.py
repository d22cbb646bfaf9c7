"""Hugging Face's preprocessor_config.json, put in Bitcliff's own terms and checked against it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from bitcliff.adapters.images import to_input
from bitcliff.adapters.preprocessing import Squashed
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.types.subject import Preprocessing

_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
# ConvNeXT's processor crops only below this size, and squashes at it and above.
_CONVNEXT_SQUASHES_FROM = 384
# In normalised units, averaged over an image: rounding differs by less, a missing step by more.
_TOLERANCE = 0.05


def image_preprocessing(
    transformers: Any, folder: Path, *, checked: bool, whole: bool = False
) -> Preprocessing | None:
    """What the folder's preprocessor_config.json asks for; None where there is none.

    Its crop may lie one pixel beside transformers' own, which rounds half pixels down.

    Args:
        checked: compare with the folder's own processor on an image, and refuse if they differ.
        whole: nothing of an image may be cropped away: where the file keeps proportions, so that
            each image has a size of its own, all are made square.

    Raises:
        InputError: unreadable, or it asks for steps that Bitcliff does not have.
    """
    file = folder / "preprocessor_config.json"
    if not file.exists():
        return None
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        preprocessing = _translated(processor.to_dict(), str(file), whole)
        differs = checked and _difference(processor, preprocessing, square=whole) > _TOLERANCE
    except Exception as error:
        raise InputError(
            f"{file}: cannot be used ({one_line(error)}); or give --image-size"
        ) from error
    if differs:
        raise InputError(
            f"{file}: {type(processor).__name__} takes steps that Bitcliff does not have; "
            "preprocess the images yourself and give them as FILE.npz"
        )
    return preprocessing


def _translated(config: dict[str, Any], source: str, whole: bool) -> Preprocessing:
    size, crop_size = _resized_and_cropped(config)
    squashed = whole or _squashes(config)
    normalised = bool(config.get("do_normalize", True))
    kind = Squashed if squashed else Preprocessing
    return kind(
        size=crop_size,
        scale=float(config["rescale_factor"]) if config.get("do_rescale", True) else 1.0,
        mean=tuple(config["image_mean"]) if normalised else (0.0, 0.0, 0.0),
        std=tuple(config["image_std"]) if normalised else (1.0, 1.0, 1.0),
        crop=min(crop_size[0] / size[0], 1.0),
        interpolation=_RESAMPLING[int(config["resample"])],
        source=source,
    )


def _squashes(config: dict[str, Any]) -> bool:
    short = config["size"].get("shortest_edge")
    return short is None or ("crop_pct" in config and short >= _CONVNEXT_SQUASHES_FROM)


def _resized_and_cropped(config: dict[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """(height, width) after resizing the short side or both sides, and after the crop."""
    size = config["size"]
    short = size.get("shortest_edge")
    if "crop_pct" in config and short is not None:
        if short >= _CONVNEXT_SQUASHES_FROM:
            return (short, short), (short, short)
        resized = int(short / (config["crop_pct"] or 224 / 256))
        return (resized, resized), (short, short)
    resized_to = (short, short) if short is not None else (size["height"], size["width"])
    if not config.get("do_center_crop"):
        return resized_to, resized_to
    return resized_to, (config["crop_size"]["height"], config["crop_size"]["width"])


def _difference(processor: Any, preprocessing: Preprocessing, *, square: bool) -> float:
    """Mean absolute difference to the folder's own processor, on one image."""
    from PIL import Image

    # Smooth, because processors resample differently where an image is all edges.
    rows, columns = np.mgrid[0:300, 0:420]
    channels = [rows / 299, columns / 419, np.sin(rows / 40) * np.cos(columns / 55) / 2 + 0.5]
    image = Image.fromarray((np.stack(channels, -1) * 255).astype(np.uint8))
    if square:
        image = image.crop((0, 0, 300, 300))
    theirs = processor(image, return_tensors="pt")["pixel_values"][0]
    ours = to_input(image, preprocessing, "the test image")
    if theirs.shape != ours.shape:
        return float("inf")
    return float(torch.mean(torch.abs(theirs - ours)))
