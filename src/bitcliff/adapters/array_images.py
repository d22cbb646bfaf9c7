"""Arrays that are images: recognised among other arrays, preprocessed, shown small."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8

from bitcliff.adapters.images import Thumbnails, take_images
from bitcliff.adapters.optional import require
from bitcliff.adapters.preprocessing import in_words
from bitcliff.adapters.source import Progress, Taken
from bitcliff.errors import InputError
from bitcliff.types.subject import Preprocessing, channel_axis

_SHOWN_SIDE = 64
_SMALLEST_SHOWN, _LARGEST_SHOWN = 4, 4096


def channels_last(
    x: Shaped[np.ndarray, "n *rest"], preprocessing: Preprocessing
) -> Shaped[np.ndarray, "n h w c"] | None:
    """Images as (n, height, width, 1 or 3), or None if the shape is not one of images.

    They may lie another way than those that the model takes.
    """
    if x.ndim == 3:
        return x[..., None]
    axis = channel_axis(x.shape, preprocessing)
    return None if axis is None else np.moveaxis(x, axis, -1)


def preprocess_array(
    images: UInt8[np.ndarray, "n h w c"],
    names: Sequence[str],
    indices: Sequence[int],
    preprocessing: Preprocessing,
    progress: Progress | None,
) -> Taken:
    """Treats 8-bit arrays as image files would be.

    Raises:
        InputError: an image has no pixels, or is too elongated to resize.
    """
    module: Any = require("PIL.Image", "vision", "images in an array")
    if 0 in images.shape[1:]:
        raise InputError(f"images of shape {images.shape[1:]} have no pixels")

    def read(index: int) -> Any:
        pixels = images[index]
        grey = pixels.shape[-1] == 1
        return module.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels)).convert(
            "RGB"
        )

    inputs, thumbnails = take_images(read, names, indices, preprocessing, progress)
    return Taken(inputs, f"8-bit images; {in_words(preprocessing)}", thumbnails)


def array_thumbnails(
    x: Float[np.ndarray, "n *rest"], limits: tuple[float, float] | None = None
) -> Sequence[str] | None:
    """Thumbnails of arrays that look like images, (n, 1 or 3, height, width); else None. Each is
    made when it is looked at: of thousands a report shows a few, and training none.

    Black and white are `limits`; without them each is stretched from its own minimum to its own
    maximum. Small ones are enlarged to about
    64 px without smoothing. None too where Pillow is not installed: they only illustrate.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        return None
    if min(x.shape[2:]) < _SMALLEST_SHOWN or max(x.shape[2:]) > _LARGEST_SHOWN:
        return None
    try:
        module: Any = require("PIL.Image", "vision", "thumbnails")
    except InputError:
        return None
    return Thumbnails(lambda place: _shown(x[place], module, limits), range(len(x)))


def _shown(
    example: Float[np.ndarray, "c h w"], module: Any, limits: tuple[float, float] | None
) -> Any:
    low, high = limits or (float(example.min()), float(example.max()))
    scaled = (example.astype(np.float64) - low) / (high - low if high > low else 1.0)
    pixels = np.rint(scaled * 255).astype(np.uint8).transpose(1, 2, 0)
    image = module.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    factor = max(1, round(_SHOWN_SIDE / max(image.size)))
    return image.resize((image.width * factor, image.height * factor), module.Resampling.NEAREST)


def take_floats(x: Float[np.ndarray, "n *rest"], done: str, indices: Sequence[int]) -> Taken:
    """Floating arrays as they are, with thumbnails where they look like images."""
    chosen = np.ascontiguousarray(x[list(indices)])
    return Taken(torch.from_numpy(chosen), done, array_thumbnails(chosen))
