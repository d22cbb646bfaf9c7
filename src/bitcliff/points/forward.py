"""Calling a model on a batch, whatever shape its inputs and outputs have."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.points.outputs import described, named_outputs, other_task, scores_in
from bitcliff.types.subject import Inputs, Preprocessing, channel_axis


def logits_of(model: nn.Module, inputs: Inputs) -> Float[Tensor, "batch classes"]:
    """Run the model once: its class scores, also out of several outputs; see `chosen_output`.

    Raises:
        InputError: there are none, several outputs could be meant, or it is not (batch, classes).
    """
    output = _called(model, inputs)
    scores = flat_scores(output if isinstance(output, Tensor) else scores_in(output))
    if scores.ndim != 2:
        raise InputError(
            "the model must give class scores (batch, classes), but gave shape "
            f"{tuple(scores.shape)}: {other_task(scores.shape)}"
        )
    return scores


def _called(model: nn.Module, inputs: Inputs) -> Any:
    if isinstance(inputs, Tensor):
        return model(inputs)
    # A file may call its input as it likes, also "self", which no module takes as a keyword.
    if isinstance(model, TakesInOrder):
        return model(*model.in_order(inputs))
    return model(**inputs)


@runtime_checkable
class TakesInOrder(Protocol):
    """A module whose inputs have names that are no keywords of it."""

    def in_order(self, named: Mapping[str, Tensor], /) -> tuple[Tensor, ...]:
        """Inputs by their names, in the order in which the module takes them."""


def outputs_of(model: nn.Module, inputs: Inputs) -> tuple[str, tuple[str, ...]]:
    """The name of the output that `logits_of` takes, and the others with their shapes, in words.

    Raises:
        InputError: as `logits_of`.
    """
    given: list[Any] = []
    # Before any hook that picks one of them.
    watch = model.register_forward_hook(lambda _m, _a, out: given.append(out), prepend=True)
    try:
        scores = logits_of(model, inputs)
    finally:
        watch.remove()
    named = named_outputs(given[-1])
    # Not by identity: axes of size 1 may have been dropped from it.
    used = next(
        (one for one, tensor in named.items() if tensor.data_ptr() == scores.data_ptr()), ""
    )
    known = described(named)
    return used, tuple(f"{name} {known[name]}" for name in named if name != used)


def flat_scores(output: Tensor) -> Tensor:
    """(batch, classes) where all other axes are of size 1, as pools and convolutions leave them."""
    longer = [size for size in output.shape[1:] if size != 1]
    return output.flatten(1) if output.ndim > 2 and len(longer) < 2 else output


def take(inputs: Inputs, index: Int[Tensor, " chosen"]) -> Inputs:
    """The chosen examples of a batch, in that order."""
    if isinstance(inputs, Mapping):
        return {name: value[index] for name, value in inputs.items()}
    return inputs[index]


def batch_size(inputs: Inputs) -> int:
    """How many examples a batch holds."""
    if isinstance(inputs, Mapping):
        return int(next(iter(inputs.values())).shape[0])
    return int(inputs.shape[0])


def raw_tensors(inputs: Inputs) -> list[Tensor]:
    """The floating tensors a model is fed: images, not tokens."""
    tensors = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    return [tensor for tensor in tensors if tensor.is_floating_point()]


def takes_images(inputs: Inputs, preprocessing: Preprocessing | None) -> bool:
    """Whether a model is fed images of 1 or 3 channels, wherever those lie."""
    return any(channel_axis(x.shape, preprocessing) is not None for x in raw_tensors(inputs))


def batches(
    index: Int[Tensor, " chosen"], size: int
) -> Iterator[tuple[Int[Tensor, " rows"], Int[Tensor, " size"]]]:
    """In batches of one size: the rows of `index` in each, and the entries there, padded.

    The last batch is filled up, so that every example runs through the same kernels whatever else
    is run with it; what is not of `rows` is left out by the caller.
    """
    for rows in torch.arange(len(index)).split(size):
        yield rows, pad(index[rows], size)


def pad(index: Int[Tensor, " chosen"], size: int) -> Int[Tensor, " size"]:
    """Repeat the last entry until `size` are there: one batch size for all evaluations."""
    return torch.cat([index, index[-1:].expand(size - len(index))])
