"""Images from files: checked, decoded, and resized as torchvision and timm do it."""

import base64
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.preprocessing import Squashed
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.types.streamed import Streamed
from bitcliff.types.subject import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image
else:  # Pillow is optional, so its types cannot be checked at run time
    Image = Any

MAX_PIXELS = 25_000_000
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)
# Not Pillow's other formats: some of them start other programs.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_THUMBNAIL_SIDE = 96
# Inputs beyond this are read again for each pass: there are two copies of those that are held.
_HELD_BYTES = 2**30
# EXIF's tag; from 5 on, rows and columns change places.
_ORIENTATION = 0x0112

Progress = Callable[[int, int], None]


def open_image(source: Path | bytes, name: str) -> Image:
    """Decodes an image to 8-bit RGB, upright.

    Its header is read first: above 25 megapixels it is not decoded. Transparency is dropped, 16-bit
    values are scaled to 8.

    Args:
        name: the image's name in errors.

    Raises:
        InputError: missing, unreadable, truncated, too large, or of a kind that is not supported.
    """
    module: Any = require("PIL.Image", "vision", f"{name} (an image)")
    operations: Any = require("PIL.ImageOps", "vision", f"{name} (an image)")
    try:
        with quiet(), module.open(_file(source), formats=_FORMATS) as image:
            _check_size(image.size, name)
            image.load()
            return _as_rgb(operations.exif_transpose(image), name, module)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except module.DecompressionBombError as error:
        raise InputError(f"{name}: larger than 25 megapixels; give a smaller copy") from error
    except Exception as error:  # decoders let almost anything through on damaged files
        raise InputError(f"{name}: unreadable or truncated image ({one_line(error)})") from error


def _file(source: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name}: {width} x {height} pixels, more than 25 megapixels; give a smaller copy"
        )


def _as_rgb(image: Image, name: str, module: Any) -> Image:
    if image.mode.startswith("I"):  # 16 bits a pixel; convert() would cut all above 255 off
        values = np.asarray(image).astype(np.float64) / 257
        image = module.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    elif image.mode == "F":
        raise InputError(f"{name}: floating-point pixels; give an 8- or 16-bit image")
    return image.convert("RGB")


def to_input(image: Image, p: Preprocessing, name: str) -> Float[Tensor, "a b c"]:
    """Resizes, crops the centre and normalises one RGB image, to `p.shape`.

    Raises:
        InputError: so elongated that it would be huge once resized.
    """
    from PIL import Image

    height, width = p.size
    resized = _resized(image.size, p)
    if resized[0] * resized[1] > MAX_PIXELS:
        raise InputError(
            f"{name}: {image.width} x {image.height} pixels is too elongated to resize"
        )
    method = Image.Resampling[p.interpolation.upper()]
    if resized != image.size:
        image = image.resize(resized, method)
    # Rounding as torchvision's center_crop does.
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    image = image.crop((left, top, left + width, top + height))
    if p.channels == 1 and image.mode != "F":
        image = image.convert("L")
    pixels = np.asarray(image, dtype=np.float32).reshape(height, width, p.channels)
    pixels = pixels[..., ::-1] if p.bgr else pixels
    mean, std = np.array(p.mean, dtype=np.float32), np.array(p.std, dtype=np.float32)
    values = (pixels * np.float32(p.scale) - mean) / std
    if not p.channels_last:
        values = values.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(values))


def _resized(size: tuple[int, int], p: Preprocessing) -> tuple[int, int]:
    """Width and height after resizing and before the crop."""
    width, height = size
    to_height, to_width = round(p.size[0] / p.crop), round(p.size[1] / p.crop)
    if isinstance(p, Squashed):
        return to_width, to_height
    if to_height == to_width:  # torchvision cuts the long side off to whole pixels
        short, long = sorted(size)
        other = int(to_width * long / short)
        return (to_width, other) if width <= height else (other, to_width)
    ratio = min(height / to_height, width / to_width)  # timm's ResizeKeepRatio
    return round(width / ratio), round(height / ratio)


def placed(
    boxes: Float[Tensor, "boxes 4"], size: tuple[int, int], p: Preprocessing
) -> Float[Tensor, "boxes 4"]:
    """Where corners x1, y1, x2, y2 in pixels of an image lie in what `to_input` makes of it, cut
    off at its sides.

    Args:
        size: the image's width and height.
    """
    resized, whole = _resized(size, p), p.size[::-1]
    scale = torch.tensor([new / old for new, old in zip(resized, size, strict=True)] * 2)
    start = torch.tensor(
        [round((new - own) / 2) for new, own in zip(resized, whole, strict=True)] * 2
    )
    limit = torch.tensor(whole * 2).float()
    return torch.minimum((boxes * scale - start).clamp(min=0), limit)


def image_size(file: Path) -> tuple[int, int]:
    """Width and height of an image as `open_image` gives it; only its header is read.

    Raises:
        InputError: unreadable.
    """
    module: Any = require("PIL.Image", "vision", f"{file} (an image)")
    try:
        with quiet(), module.open(file, formats=_FORMATS) as image:
            turned = image.getexif().get(_ORIENTATION, 1) >= 5
            width, height = image.size
    except Exception as error:  # decoders let almost anything through on damaged files
        raise InputError(f"{file}: unreadable image ({one_line(error)})") from error
    return (height, width) if turned else (width, height)


def thumbnail(image: Image) -> str:
    """The image as a JPEG data URI, at most 96 px a side."""
    small = image.copy()
    small.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


class Thumbnails(Sequence[str]):
    """Of images that are read again for each one that is asked for.

    Args:
        read: gives the image of an example, in RGB. indices: of the examples.
    """

    def __init__(self, read: Callable[[int], Image], indices: Sequence[int]) -> None:
        self._read, self._indices = read, indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> "Thumbnails": ...
    def __getitem__(self, place: int | slice) -> "str | Thumbnails":
        if isinstance(place, slice):
            return Thumbnails(self._read, self._indices[place])
        return thumbnail(self._read(self._indices[place]))


def take_images(
    read: Callable[[int], Image],
    names: Sequence[str],
    indices: Sequence[int],
    preprocessing: Preprocessing,
    progress: Progress | None,
) -> tuple[Float32[Tensor, "n a b c"] | Streamed, Sequence[str]]:
    """The chosen images as inputs, and their thumbnails; of inputs that are not held, these too are
    made when they are looked at.

    Args:
        read: gives the image at an index, in RGB; by several threads.
        progress: called with (done, all) while they are read.

    Raises:
        InputError: one of them is unreadable.
    """

    is_held = 4 * len(indices) * math.prod(preprocessing.shape) <= _HELD_BYTES
    small = dict[int, str]()

    def read_input(index: int) -> Float32[Tensor, "a b c"]:
        image = read(index)
        if is_held:
            small[index] = thumbnail(image)
        return to_input(image, preprocessing, names[index])

    inputs = Streamed(read_input, torch.tensor(indices), preprocessing.shape)
    if not is_held:
        return inputs, Thumbnails(read, indices)
    held = torch.empty(inputs.shape)
    done = 0
    for part in inputs.in_parts():
        held[done : done + len(part)] = part
        done += len(part)
        if progress is not None:
            progress(done, len(indices))
    return held, tuple(small[index] for index in indices)
