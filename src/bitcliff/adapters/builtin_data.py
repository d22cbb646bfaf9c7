"""Data that installed packages carry: 20 ImageNet images, and scikit-learn's digits."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from bitcliff.adapters.array_images import preprocess_array, take_floats
from bitcliff.adapters.folders import image_files
from bitcliff.adapters.optional import package_folder
from bitcliff.adapters.source import Progress, Source, Taken, needed_preprocessing
from bitcliff.errors import InputError
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import Subject

_IMAGENET_FILE = re.compile(r"imagenet_\d+_(\d+)\.jpg")
_DIGITS_MAXIMUM = 16
# Where the test split begins; a writer's digits stand together, so that most are in one split.
_DIGITS_TEST = 1437


def open_imagenet_20(spec: str, subject: Subject, options: DataOptions) -> Source:
    """The 20 labelled ImageNet images of the foolbox package, read where it is installed.

    Raises:
        MissingExtra: foolbox is not installed.
    """
    del options
    folder = package_folder("foolbox", "demo", spec) / "data"
    preprocessing = needed_preprocessing(subject, spec)
    found = {path: _IMAGENET_FILE.fullmatch(path.name) for path in sorted(folder.glob("*.jpg"))}
    labels = {path: int(match[1]) for path, match in found.items() if match}
    if not labels:
        raise InputError(f"{spec}: the installed foolbox has no images; install foolbox 3.3")
    ids = tuple(path.name for path in labels)
    return image_files(ids, list(labels), list(labels.values()), preprocessing)


def open_digits(spec: str, subject: Subject, options: DataOptions) -> Source:
    """scikit-learn's handwritten digits, 8 x 8 px: (n, 1, 8, 8) in [0, 1].

    1797 in the order of their writers; the last fifth, 360, is the split "test", the rest "train".

    A subject with image preprocessing gets them as grey images instead.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    if options.split not in ("train", "test"):
        raise InputError(f"--split {options.split}: digits has the splits test and train")
    file = package_folder("sklearn", "demo", spec) / "datasets" / "data" / "digits.csv.gz"
    images, targets = _digits_of(file)
    mine = slice(_DIGITS_TEST, None) if options.split == "test" else slice(_DIGITS_TEST)
    values = (images / _DIGITS_MAXIMUM).astype(np.float32)[mine, None]
    labels = targets[mine]
    ids = tuple(map(str, range(len(targets))[mine]))
    preprocessing = subject.preprocessing
    pixels = np.rint(values * 255).astype(np.uint8).transpose(0, 2, 3, 1)

    def take(indices: Sequence[int], progress: Progress | None) -> Taken:
        if preprocessing is not None:
            return preprocess_array(pixels, ids, indices, preprocessing, progress)
        return take_floats(values, "grey values divided by 16", indices)

    return Source(ids, labels, take, tuple(str(digit) for digit in range(10)))


@cache  # a tenth of a second, and a command opens the splits for training and testing
def _digits_of(file: Path) -> tuple[Float64[np.ndarray, "n 8 8"], Int64[np.ndarray, " n"]]:
    """Images and labels as `sklearn.datasets.load_digits` gives them, which takes a second to
    import."""
    rows = np.loadtxt(file, delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
