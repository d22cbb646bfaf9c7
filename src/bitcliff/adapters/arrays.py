"""A .npz file with arrays x, or by the names of a network's inputs, and, if labelled, y."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Shaped
from torch import Tensor

from bitcliff.adapters.array_images import channels_last, preprocess_array, take_floats
from bitcliff.adapters.containers import check_zip
from bitcliff.adapters.optional import quiet
from bitcliff.adapters.source import Progress, Source, Taken, check_shape
from bitcliff.adapters.wording import listed, one_line, shortened
from bitcliff.errors import InputError
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.neighbours import Nearest
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import Examples, NamedInput, Subject

_LARGEST_LABEL = 10**9
_OF_NUMBERS = (
    "; where numbers are predicted give --task values:TOLERANCE, where any of several labels may "
    "hold --task labels:NUMBER"
)


def open_npz(spec: str, subject: Subject, options: DataOptions) -> Source:
    """x: (n, *rest), floating or 8-bit; y: (n,) integers, or what another task
    wants of each. Never unpickles.

    8-bit arrays of images are preprocessed as images where the subject says how; all else is
    taken as it is, in float32. Instead of x, a subject with named inputs takes an array for each,
    by its name and of its type and shape; one number, for what the file takes for a whole batch.

    Raises:
        InputError: damaged; no x; of the wrong type or shape; NaN or infinity in x.
    """
    del options
    if subject.tokenizer is not None:
        raise InputError(f"{spec}: arrays, but {subject.name} takes text")
    if subject.named_inputs is not None:
        return _open_named(spec, subject, subject.named_inputs)
    arrays = _read(Path(spec), ["x"])
    x, y = arrays["x"], arrays.get("y")
    if x.ndim < 2 or 0 in x.shape:
        raise InputError(f"{spec}: x has shape {x.shape}; must be (n, ...) with n at least 1")
    labels, targets = _labelled(y, len(x), spec, subject)
    ids = tuple(str(index) for index in range(len(x)))
    preprocessing, images = subject.preprocessing, None
    if preprocessing is not None and x.dtype == np.uint8:
        images = channels_last(x, preprocessing)
    if preprocessing is not None and images is not None:
        shown, names = images, [f"{spec}, x[{index}]" for index in range(len(x))]

        def take_images(indices: Sequence[int], progress: Progress | None) -> Taken:
            return preprocess_array(shown, names, indices, preprocessing, progress)

        return Source(ids, labels, take_images, targets=targets)
    values = _as_float(x, spec)
    done = "none: taken as they are"
    if x.dtype == np.uint8:
        done = "none: 8-bit values taken as numbers from 0 to 255"

    def take(indices: Sequence[int], _progress: Progress | None) -> Taken:
        return take_floats(values, done, indices)

    return Source(ids, labels, take, targets=targets)


def _open_named(spec: str, subject: Subject, declared: Mapping[str, NamedInput]) -> Source:
    arrays = _read(Path(spec), list(declared))
    given = {
        name: _as_declared(arrays[name], f"{spec}: {name}", subject.name, declared[name])
        for name in declared
    }
    (first, count), *others = ((name, len(one)) for name, one in given.items() if one.ndim)
    for name, length in others:
        if length != count:
            raise InputError(f"{spec}: {first} holds {count} examples, but {name} {length}")
    y = arrays.get("y") if "y" not in declared else None
    labels, targets = _labelled(y, count, spec, subject)
    given = {name: one if one.ndim else np.full(count, one) for name, one in given.items()}

    def take(indices: Sequence[int], _progress: Progress | None) -> Taken:
        chosen = {name: torch.from_numpy(values[list(indices)]) for name, values in given.items()}
        return Taken(chosen, Examples.preprocessing)

    return Source(tuple(map(str, range(count))), labels, take, targets=targets)


def read_gallery(file: Path, *, labelled: bool) -> tuple[Tensor, Tensor | None]:
    """x: (n, values) vectors; y: (n,) their classes, where those are wanted.

    Raises:
        InputError: damaged; no x, or no y; of the wrong type or shape; NaN or infinity.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file; a gallery is a .npz with x, one vector a row")
    arrays = _read(file, ["x", "y"] if labelled else ["x"])
    if not arrays["x"].size:
        raise InputError(f"{file}: its x holds no vectors")
    x = _as_float(arrays["x"], str(file))
    if x.ndim != 2 or 0 in x.shape:
        raise InputError(f"{file}: x has shape {x.shape}; must be (n, values), one vector a row")
    classes = torch.from_numpy(_labels(arrays["y"], len(x), str(file))) if labelled else None
    return torch.from_numpy(x), classes


def _as_declared(
    x: Shaped[np.ndarray, "*x"], what: str, model: str, declared: NamedInput
) -> Shaped[np.ndarray, "*x"]:
    """Of the declared type, if nothing is lost by that."""
    if declared.shape == () and x.ndim:
        raise InputError(
            f"{what} has shape {x.shape}; {model} takes one number for all examples: save it so, "
            "as np.array(16000)"
        )
    if declared.shape == ():
        return _as_declared(x[None], what, model, NamedInput(declared.dtype, None))[0, ...]
    check_shape(what, x.shape, model, declared.shape or (None,) * max(x.ndim, 1))
    kind = np.dtype(str(declared.dtype).removeprefix("torch."))
    if not np.can_cast(x.dtype, kind, "same_kind"):
        raise InputError(f"{what} is {x.dtype}; {model} takes {kind}")
    if kind.kind == "f":
        return _finite(x, kind, what)
    values = x.astype(kind)
    if (values != x).any():
        raise InputError(f"{what} holds {x[values != x].flat[0]}, which {kind} cannot hold")
    return values


def _read(path: Path, needed: Sequence[str]) -> dict[str, Shaped[np.ndarray, "*shape"]]:
    """The arrays of these names and, if it is there, y."""
    names = [member.removesuffix(".npy") for member in check_zip(path)]
    if lacking := [name for name in needed if name not in names]:
        raise InputError(
            f"{path}: has no array {listed(map(shortened, lacking))} "
            f"(it has {', '.join(names) or 'none'})"
        )
    try:
        with quiet(), np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in {*needed, "y"}.intersection(names)}
    except Exception as error:  # NumPy parses headers with much that can raise
        raise InputError(f"{path}: cannot be read as arrays ({one_line(error)})") from error


def _as_float(x: Shaped[np.ndarray, "n *rest"], spec: str) -> Float32[np.ndarray, "n *rest"]:
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise InputError(f"{spec}: x is {x.dtype}; must be floating or uint8")
    return _finite(x, np.dtype(np.float32), f"{spec}: x")


def _finite(
    x: Shaped[np.ndarray, "n *rest"], kind: "np.dtype[Any]", what: str
) -> Float[np.ndarray, "n *rest"]:
    # What the type cannot hold becomes infinite, which is refused below.
    with np.errstate(over="ignore"):
        values = x.astype(kind)
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        first = int(np.flatnonzero(~finite)[0])
        raise InputError(
            f"{what}[{first}] holds NaN or infinity ({int((~finite).sum())} examples do); "
            "remove or repair them"
        )
    return values


def _labelled(
    y: Shaped[np.ndarray, "*shape"] | None, n: int, spec: str, subject: Subject
) -> tuple[Int64[np.ndarray, " n"] | None, Tensor | None]:
    """Classes, or what another task wants of each example."""
    if y is None:
        return None, None
    task = task_of(subject.module)
    if not isinstance(task, AgainstFloat) or isinstance(task.kind, Nearest):
        return _labels(y, n, spec), None
    if not y.ndim or len(y) != n:
        raise InputError(
            f"{spec}: y has shape {y.shape}; must be ({n}, ...), a label for each example"
        )
    if not np.issubdtype(y.dtype, np.number) or np.issubdtype(y.dtype, np.complexfloating):
        raise InputError(f"{spec}: y is {y.dtype}; labels must be numbers")
    return None, torch.from_numpy(_finite(y, np.dtype(np.float64), f"{spec}: y"))


def _labels(y: Shaped[np.ndarray, "*shape"], n: int, spec: str) -> Int64[np.ndarray, " n"]:
    if y.shape != (n,):
        raise InputError(
            f"{spec}: y has shape {y.shape}; must be ({n},), one label for each example"
            + (_OF_NUMBERS if len(y) == n else "")
        )
    if not np.issubdtype(y.dtype, np.integer):
        told = _OF_NUMBERS if np.issubdtype(y.dtype, np.floating) else ""
        raise InputError(
            f"{spec}: y is {y.dtype}; labels must be integers, the numbers of classes{told}"
        )
    if y.min() < 0 or y.max() > _LARGEST_LABEL:
        wrong = int(y[(y < 0) | (y > _LARGEST_LABEL)][0])
        raise InputError(f"{spec}: label {wrong} in y is out of range; labels count from 0")
    return y.astype(np.int64)
