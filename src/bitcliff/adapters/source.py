"""What every kind of data gives, before any of it is decoded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from torch import Tensor

from bitcliff.adapters.preprocessing import input_in_words
from bitcliff.adapters.wording import listed, shortened
from bitcliff.errors import InputError
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import AllInputs, Preprocessing, Subject
from bitcliff.types.waveform import Waveform

Progress = Callable[[int, int], None]


class UnknownNormalisation(InputError):
    """Images for a model of which all is known but their mean and deviation."""


@dataclass(frozen=True)
class Taken:
    """The chosen examples, ready for the model.

    Attributes:
        inputs: as many along dim 0 as were chosen.
        preprocessing: what was done, in words.
        thumbnails: one data URI each, or None. texts, waves: as in `Examples`.
    """

    inputs: AllInputs
    preprocessing: str
    thumbnails: Sequence[str] | None = None
    texts: tuple[str, ...] | None = None
    waves: tuple[Waveform, ...] | None = None


@dataclass(frozen=True)
class Source:
    """A data set whose examples are numbered and labelled, but not yet read.

    Attributes:
        ids: one distinct name each.
        labels: one output index each, or None; their range is checked by the caller.
        take: reads the examples at the given indices, reporting (done, all).
        class_names: as the data names its classes, in output order.
        labelling: how labels were read, in words; empty where nothing was to be decided.
        targets: (n, *rest) labels of a task that is no single choice, instead of `labels`.
        wanted: n texts that are labels, of a task whose outcomes are texts.
    """

    ids: tuple[str, ...]
    labels: Int64[np.ndarray, " n"] | None
    take: Callable[[Sequence[int], Progress | None], Taken]
    class_names: tuple[str, ...] | None = None
    labelling: str = ""
    targets: Tensor | None = None
    wanted: tuple[str, ...] | None = None


Opener = Callable[[str, Subject, DataOptions], Source]


def check_shape(
    what: str, shape: Sequence[int], model: str, declared: Sequence[int | None]
) -> None:
    """InputError unless an array has a declared shape, batch first; None stands for any size."""
    sizes = declared[1:]
    alike = [size in (None, own) for size, own in zip(sizes, shape[1:], strict=False)]
    if len(shape) != len(declared) or not all(alike) or 0 in shape:
        takes = ", ".join(["n", *("any" if size is None else str(size) for size in sizes)])
        raise InputError(f"{what} has shape {tuple(shape)}; {model} takes ({takes})")


def needed_preprocessing(subject: Subject, data: str) -> Preprocessing:
    """The subject's image preprocessing.

    Raises:
        InputError: it has none, or takes text, sound or named arrays. UnknownNormalisation.
    """
    if subject.preprocessing is None:
        if subject.tokenizer is not None:
            raise InputError(f"{data}: images, but {subject.name} takes text")
        if subject.hearing is not None:
            raise InputError(f"{data}: images, but {subject.name} takes sound")
        if subject.named_inputs is not None:
            names = listed(map(shortened, subject.named_inputs))
            raise InputError(f"{data}: images, but {subject.name} takes {names}; give FILE.npz")
        if subject.unnormalised is not None:
            raise UnknownNormalisation(
                f"{data}: images, but {subject.name} does not say how pixels become the values of "
                f"its input ({input_in_words(subject.unnormalised)}); give --mean and --std"
            )
        raise InputError(
            f"{data}: images, but {subject.name} has no preprocessing for them; give "
            "--image-size (and --mean, --std)"
        )
    return subject.preprocessing
