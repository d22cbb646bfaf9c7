"""A .npz file with arrays x and, if labelled, y."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from bitcliff.adapters.array_pictures import channels_last, preprocess_array, take_floats
from bitcliff.adapters.containers import check_zip
from bitcliff.adapters.optional import quiet
from bitcliff.adapters.options import DataOptions
from bitcliff.adapters.source import Progress, Source, Taken
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.types.subject import Subject

_LARGEST_LABEL = 10**9


def open_npz(spec: str, subject: Subject, options: DataOptions) -> Source:
    """x: (n, *rest), floating or 8-bit; y: (n,) integers. Never unpickles.

    8-bit arrays of pictures are preprocessed as pictures where the subject says how; all else is
    taken as it is, in float32.

    Raises:
        InputError: damaged; no x; of the wrong type or shape; NaN or infinity in x.
    """
    del options
    if subject.tokenizer is not None:
        raise InputError(f"{spec}: arrays, but {subject.name} takes text")
    x, y = _read(Path(spec))
    if x.ndim < 2 or 0 in x.shape:
        raise InputError(f"{spec}: x has shape {x.shape}; must be (n, ...) with n at least 1")
    labels = None if y is None else _labels(y, len(x), spec)
    ids = tuple(str(index) for index in range(len(x)))
    pictures = channels_last(x) if x.dtype == np.uint8 else None
    preprocessing = subject.preprocessing
    if preprocessing is not None and pictures is not None:
        shown, names = pictures, [f"{spec}, x[{index}]" for index in range(len(x))]

        def take_pictures(indices: Sequence[int], progress: Progress | None) -> Taken:
            return preprocess_array(shown, names, indices, preprocessing, progress)

        return Source(ids, labels, take_pictures)
    values = _as_float(x, spec)
    done = "none: taken as they are"
    if x.dtype == np.uint8:
        done = "none: 8-bit values taken as numbers from 0 to 255"
    return Source(ids, labels, lambda indices, _: take_floats(values, done, indices))


def _read(path: Path) -> tuple[Shaped[np.ndarray, "*x"], Shaped[np.ndarray, "*y"] | None]:
    """The arrays x and, if it is there, y."""
    names = [member.removesuffix(".npy") for member in check_zip(path)]
    if "x" not in names:
        raise InputError(f"{path}: has no array x (it has {', '.join(names) or 'none'})")
    try:
        with quiet(), np.load(path, allow_pickle=False) as archive:
            return archive["x"], archive["y"] if "y" in names else None
    except Exception as error:  # NumPy parses headers with much that can raise
        raise InputError(f"{path}: cannot be read as arrays ({one_line(error)})") from error


def _as_float(x: Shaped[np.ndarray, "n *rest"], spec: str) -> Float32[np.ndarray, "n *rest"]:
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise InputError(f"{spec}: x is {x.dtype}; must be floating or uint8")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told so
        values = x.astype(np.float32)
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        first = int(np.flatnonzero(~finite)[0])
        raise InputError(
            f"{spec}: x[{first}] holds NaN or infinity ({int((~finite).sum())} examples do); "
            "remove or repair them"
        )
    return values


def _labels(y: Shaped[np.ndarray, "*shape"], n: int, spec: str) -> Int64[np.ndarray, " n"]:
    if y.shape != (n,):
        raise InputError(f"{spec}: y has shape {y.shape}; must be ({n},), one label for each of x")
    if not np.issubdtype(y.dtype, np.integer):
        raise InputError(f"{spec}: y is {y.dtype}; labels must be integers")
    if y.min() < 0 or y.max() > _LARGEST_LABEL:
        wrong = int(y[(y < 0) | (y > _LARGEST_LABEL)][0])
        raise InputError(f"{spec}: label {wrong} in y is out of range; labels count from 0")
    return y.astype(np.int64)
