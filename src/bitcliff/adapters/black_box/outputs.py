"""What holds for every kind of black box: how it is asked, and what counts as an output."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.points.forward import batch_size, pad, take
from bitcliff.tasks.classification import flat_scores, other_task
from bitcliff.types.black_box import Images, Outputs
from bitcliff.types.subject import Inputs

_Result = TypeVar("_Result")

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0


class NoOutput(Exception):
    """None came, or one that makes no sense; the text says which, without the black box's name."""


@dataclass(frozen=True)
class Opened:
    """A black box found and looked at, not yet asked.

    Attributes:
        identity: see `BlackBox`.
        predict: inputs to a tensor, unchecked. Raises NoOutput.
        batch: the only number of examples it takes, if there is one.
        retries: how often asking again may help.
    """

    identity: str
    predict: Callable[[Any], Tensor]
    batch: int | None = None
    retries: int = 0


class Form:
    """The form of a black box's outputs: its first output fixes it.

    Args:
        of_any_task: numbers of any shape will do, an example a row; they are taken as they are.
    """

    def __init__(self, num_classes: int | None, of_any_task: bool = False) -> None:
        self._num_classes, self._of_any_task = num_classes, of_any_task
        self._each: torch.Size | None = None

    def check(self, output: Tensor, count: int) -> Outputs:
        """The output as float32 scores (count, classes) or int64 classes (count,).

        Raises:
            NoOutput: another shape, another number of classes than before, NaN or infinity.
        """
        if self._of_any_task and output.is_floating_point() and len(output) == count:
            return self._finite(output)
        output = flat_scores(output)
        if not output.is_floating_point() and output.ndim == 2 and output.shape[1] == 1:
            output = output[:, 0]
        shape, ndim = tuple(output.shape), 2 if output.is_floating_point() else 1
        if output.is_complex() or output.ndim != ndim or len(output) != count:
            meant = other_task(shape) if output.is_floating_point() and shape else ""
            raise NoOutput(
                f"gave {output.dtype} of shape {shape} for {count} examples, not scores "
                f"({count}, classes) or one integer class each" + f": {meant}" * bool(meant)
            )
        if ndim == 2:
            self._check_scores(output)
        else:
            self._check_classes(output)
        if self._each not in (None, output.shape[1:]):
            raise NoOutput(f"gave shape {shape}, but before with {tuple(self._each or ())}")
        self._each = output.shape[1:]
        return output.float() if ndim == 2 else output.long()

    def _check_scores(self, scores: Tensor) -> None:
        classes = scores.shape[1]
        if classes < 2:
            raise NoOutput(f"gives {other_task(scores.shape)}")
        if self._num_classes not in (None, classes):
            raise NoOutput(f"gives scores for {classes} classes, not for {self._num_classes}")
        self._finite(scores)

    def _finite(self, scores: Tensor) -> Tensor:
        if not bool(torch.isfinite(scores.float()).all()):
            raise NoOutput("gave NaN or infinity")
        return scores.float()

    def _check_classes(self, classes: Tensor) -> None:
        low, high = int(classes.min()), int(classes.max())
        if low < 0 or (self._num_classes is not None and high >= self._num_classes):
            allowed = "0 or more" if self._num_classes is None else f"0 to {self._num_classes - 1}"
            raise NoOutput(f"gave class {low if low < 0 else high}; {allowed} may come")


def checked(name: str, opened: Opened, form: Form, batch: int) -> Callable[[Inputs], Outputs]:
    """The function that splits inputs, asks, checks, and asks again."""

    def ask_part(given: Inputs, part: Tensor) -> Outputs:
        size = opened.batch or len(part)
        return form.check(opened.predict(take(given, pad(part, size))), size)[: len(part)]

    def ask(inputs: Inputs) -> Outputs:
        given = inputs.detach().float() if isinstance(inputs, Tensor) else inputs
        parts = torch.arange(batch_size(given)).split(opened.batch or batch)
        outputs = [insist(name, opened.retries, partial(ask_part, given, part)) for part in parts]
        whole = torch.cat(outputs)
        return whole.to(inputs.device) if isinstance(inputs, Tensor) else whole

    return ask


def insist(name: str, retries: int, ask: Callable[[], _Result]) -> _Result:
    """Asks until there is an output, waiting longer each time.

    Raises:
        InputError: there was none; names the black box and the last thing that was wrong.
    """
    attempt = 0
    while True:
        try:
            return ask()
        except NoOutput as error:
            if attempt == retries:
                tries = f"; asked {attempt + 1} times" if attempt else ""
                raise InputError(f"{name}: {error}{tries}") from error
        time.sleep(min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT))
        attempt += 1


def check_images(name: str, declared: Sequence[int | str | None], images: Images) -> None:
    """InputError unless the inputs fit a declared input shape, batch first.

    -1, 0 and names stand for any size. One that declares nothing takes any.
    """
    if not declared:
        return
    given = images.shape[1:]
    sizes = [size if isinstance(size, int) and size > 0 else None for size in declared[1:]]
    if len(sizes) != len(given) or any(
        size not in (None, own) for size, own in zip(sizes, given, strict=True)
    ):
        shape = ", ".join("any" if size is None else str(size) for size in sizes)
        raise InputError(f"{name}: takes inputs of shape ({shape}), not {tuple(given)}")


def fixed_batch(declared: Sequence[int | str | None]) -> int | None:
    """The number of images that a declared input shape insists on, if it does."""
    first = declared[0] if declared else None
    return first if isinstance(first, int) and first > 0 else None
