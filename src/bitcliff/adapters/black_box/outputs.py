"""What holds for every kind of black box: how it is asked, and what counts as an answer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.points.forward import batch_size, pad, take
from bitcliff.types.black_box import Answers, Images
from bitcliff.types.subject import Inputs

_Result = TypeVar("_Result")

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0


class NoAnswer(Exception):
    """None came, or one that makes no sense; the text says which, without the black box's name."""


@dataclass(frozen=True)
class Opened:
    """A black box found and looked at, not yet asked.

    Attributes:
        identity: see `BlackBox`.
        answer: inputs to a tensor, unchecked. Raises NoAnswer.
        batch: the only number of examples it takes, if there is one.
        retries: how often asking again may help.
    """

    identity: str
    answer: Callable[[Any], Tensor]
    batch: int | None = None
    retries: int = 0


class Form:
    """The form of a black box's answers: its first answer fixes it."""

    def __init__(self, num_classes: int | None) -> None:
        self._num_classes = num_classes
        self._each: torch.Size | None = None

    def check(self, answer: Tensor, count: int) -> Answers:
        """The answer as float32 scores (count, classes) or int64 classes (count,).

        Raises:
            NoAnswer: another shape, another number of classes than before, NaN or infinity.
        """
        if not answer.is_floating_point() and answer.ndim == 2 and answer.shape[1] == 1:
            answer = answer[:, 0]
        shape, ndim = tuple(answer.shape), 2 if answer.is_floating_point() else 1
        if answer.is_complex() or answer.ndim != ndim or len(answer) != count:
            raise NoAnswer(
                f"answered {count} images with {answer.dtype} of shape {shape}, not with scores "
                f"({count}, classes) or one integer class each"
            )
        if ndim == 2:
            self._check_scores(answer)
        else:
            self._check_classes(answer)
        if self._each not in (None, answer.shape[1:]):
            raise NoAnswer(
                f"answered with shape {shape}, but before with {tuple(self._each or ())}"
            )
        self._each = answer.shape[1:]
        return answer.float() if ndim == 2 else answer.long()

    def _check_scores(self, scores: Tensor) -> None:
        classes = scores.shape[1]
        if classes < 2 or self._num_classes not in (None, classes):
            wanted = self._num_classes or "at least 2"
            raise NoAnswer(f"gives scores for {classes} classes, and {wanted} are wanted")
        if not bool(torch.isfinite(scores.float()).all()):
            raise NoAnswer("answered with NaN or infinity")

    def _check_classes(self, classes: Tensor) -> None:
        low, high = int(classes.min()), int(classes.max())
        if low < 0 or (self._num_classes is not None and high >= self._num_classes):
            wanted = "0 or more" if self._num_classes is None else f"0 to {self._num_classes - 1}"
            raise NoAnswer(f"answered with class {low if low < 0 else high}; {wanted} are wanted")


def checked(name: str, opened: Opened, form: Form, batch: int) -> Callable[[Inputs], Answers]:
    """The function that splits inputs, asks, checks, and asks again."""

    def ask_part(given: Inputs, part: Tensor) -> Answers:
        size = opened.batch or len(part)
        return form.check(opened.answer(take(given, pad(part, size))), size)[: len(part)]

    def ask(inputs: Inputs) -> Answers:
        given = inputs.detach().float() if isinstance(inputs, Tensor) else inputs
        parts = torch.arange(batch_size(given)).split(opened.batch or batch)
        answers = [insist(name, opened.retries, partial(ask_part, given, part)) for part in parts]
        told = torch.cat(answers)
        return told.to(inputs.device) if isinstance(inputs, Tensor) else told

    return ask


def insist(name: str, retries: int, ask: Callable[[], _Result]) -> _Result:
    """Asks until there is an answer, waiting longer each time.

    Raises:
        InputError: there was none; names the black box and the last thing that was wrong.
    """
    attempt = 0
    while True:
        try:
            return ask()
        except NoAnswer as error:
            if attempt == retries:
                tries = f"; asked {attempt + 1} times" if attempt else ""
                raise InputError(f"{name}: {error}{tries}") from error
        time.sleep(min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT))
        attempt += 1


def check_images(name: str, wanted: Sequence[int | str | None], images: Images) -> None:
    """InputError unless the images fit a declared input shape, batch first.

    -1, 0 and names stand for any size. One that declares nothing takes any.
    """
    if not wanted:
        return
    given = images.shape[1:]
    sizes = [size if isinstance(size, int) and size > 0 else None for size in wanted[1:]]
    if len(sizes) != len(given) or any(
        size not in (None, own) for size, own in zip(sizes, given, strict=True)
    ):
        shape = ", ".join("any" if size is None else str(size) for size in sizes)
        raise InputError(f"{name}: takes images of shape ({shape}), not {tuple(given)}")


def fixed_batch(wanted: Sequence[int | str | None]) -> int | None:
    """The number of images that a declared input shape insists on, if it does."""
    first = wanted[0] if wanted else None
    return first if isinstance(first, int) and first > 0 else None
