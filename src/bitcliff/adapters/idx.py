"""IDX files, the format of MNIST and Fashion-MNIST, gzipped or not."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from bitcliff.adapters.array_images import preprocess_array, take_floats
from bitcliff.adapters.source import Progress, Source, Taken
from bitcliff.errors import InputError
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import Subject

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# Where Debian's package dataset-fashion-mnist puts it.
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_FILE_PREFIX = {"test": "t10k", "train": "train"}
_UNSIGNED_BYTE = 0x08
_LARGEST = 4 * 2**30


def open_installed_fashion_mnist(spec: str, subject: Subject, options: DataOptions) -> Source:
    """Fashion-MNIST as Debian's package installs it.

    Raises:
        InputError: it is not installed.
    """
    if not DEBIAN_FOLDER.is_dir():
        raise InputError(
            f"{spec}: there is no {DEBIAN_FOLDER}; install Debian's dataset-fashion-mnist, or give "
            "fashion-mnist:DIR"
        )
    return open_fashion_mnist(str(DEBIAN_FOLDER), subject, options)


def open_fashion_mnist(spec: str, subject: Subject, options: DataOptions) -> Source:
    """Fashion-MNIST from its folder: (n, 1, 28, 28) in [0, 1].

    A subject with image preprocessing gets grey images instead.

    Args:
        spec: the folder.

    Raises:
        InputError: files missing, truncated, damaged, or not of Fashion-MNIST's layout.
    """
    folder = Path(spec)
    if options.split not in _FILE_PREFIX:
        raise InputError(f"--split {options.split}: fashion-mnist has the splits test and train")
    if not folder.is_dir():
        raise InputError(f"fashion-mnist:{spec}: no such folder; give the one with the IDX files")
    prefix = _FILE_PREFIX[options.split]
    image_file = _find(folder, f"{prefix}-images", "idx3-ubyte")
    label_file = _find(folder, f"{prefix}-labels", "idx1-ubyte")
    images, labels = read_idx(image_file, 3), read_idx(label_file, 1)
    if len(images) != len(labels):
        raise InputError(
            f"{label_file}: {len(labels)} labels for the {len(images)} images of {image_file}"
        )
    if labels.max(initial=0) >= len(FASHION_CLASSES):
        raise InputError(f"{label_file}: label {labels.max()}; Fashion-MNIST's go from 0 to 9")
    return _source(images, labels, options.split, subject)


def _source(
    images: UInt8[np.ndarray, "n h w"],
    labels: UInt8[np.ndarray, " n"],
    split: str,
    subject: Subject,
) -> Source:
    ids = tuple(f"{split}/{index}" for index in range(len(labels)))
    preprocessing = subject.preprocessing

    def take(indices: Sequence[int], progress: Progress | None) -> Taken:
        if preprocessing is not None:
            return preprocess_array(images[..., None], ids, indices, preprocessing, progress)
        values = images[list(indices), None].astype(np.float32) / 255
        return take_floats(values, "grey values divided by 255", range(len(values)))

    return Source(ids, labels.astype(np.int64), take, FASHION_CLASSES)


def _find(folder: Path, stem: str, kind: str) -> Path:
    names = [f"{stem}{joint}{kind}{end}" for end in ("", ".gz") for joint in ("-", ".")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: has no {names[0]} or {names[0]}.gz")


def read_idx(path: Path, dimensions: int) -> UInt8[np.ndarray, "*shape"]:
    """Reads an IDX file of unsigned bytes: two zero bytes, type 0x08, the number of dimensions,
    each dimension as four bytes (big end first), then the values.

    Args:
        dimensions: how many it must have.

    Raises:
        InputError: another type or number of dimensions; shorter or longer than its header has it;
            damaged gzip.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            shape = _shape(header, dimensions, path)
            count = int(np.prod(shape, dtype=object))
            if count > _LARGEST:
                raise InputError(f"{path}: its header claims {count} bytes; damaged, or not IDX")
            # One byte more than there should be: to the end, where gzip checks its checksum.
            values = file.read(count + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: truncated or damaged ({error}); copy it again") from error
    if len(values) != count:
        than = "more" if len(values) > count else "fewer"
        raise InputError(f"{path}: holds {than} than the {count} values its header claims")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def _shape(header: bytes, dimensions: int, path: Path) -> tuple[int, ...]:
    if len(header) < 4 + 4 * dimensions:
        raise InputError(f"{path}: truncated: its header is incomplete; copy it again")
    if header[:4] != bytes((0, 0, _UNSIGNED_BYTE, dimensions)):
        raise InputError(f"{path}: not an IDX file of unsigned bytes with {dimensions} dimensions")
    return tuple(int(side) for side in np.frombuffer(header[4:], dtype=">u4"))
