"""Calling a model on a batch, whatever shape its inputs and outputs have."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, overload, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitcliff.points.outputs import (
    described,
    examples_first,
    judged_output,
    moved_of,
    named_outputs,
)
from bitcliff.tasks import task_of
from bitcliff.types.streamed import Streamed
from bitcliff.types.subject import (
    AllInputs,
    Choices,
    Inputs,
    Preprocessing,
    Texts,
    channel_axis,
)


def logits_of(model: nn.Module, inputs: Inputs) -> Float[Tensor, "batch classes"]:
    """Run the model once: a score for each of its classes, or of what else it decides among.

    Raises:
        InputError: as `output_of`; or its output is not of its task.
    """
    inputs = unpadded(inputs)
    return task_of(model).scores(output_of(model, inputs), inputs)


def output_of(model: nn.Module, inputs: Inputs) -> Tensor:
    """Run the model once: what it gives, of several outputs the judged one; see `chosen_output`.
    Its examples come first also where the network has them along another axis.

    Raises:
        InputError: there is none, or several outputs could be meant.
    """
    output = _called(model, inputs)
    judged = output if isinstance(output, Tensor) else judged_output(output)
    judged = examples_first(judged, moved_of(model))
    # A question's choices are its own, and no examples beside it.
    return judged.unflatten(0, (batch_size(inputs), -1)) if isinstance(inputs, Choices) else judged


def _called(model: nn.Module, inputs: Inputs) -> Any:
    if isinstance(inputs, Tensor):
        return model(inputs)
    # A file may call its input as it likes, also "self", which no module takes as a keyword.
    if isinstance(model, TakesInOrder):
        return model(*model.in_order(inputs))
    return model(**(inputs.given if isinstance(inputs, Texts) else inputs))


@runtime_checkable
class TakesInOrder(Protocol):
    """A module whose inputs have names that are no keywords of it."""

    def in_order(self, named: Mapping[str, Tensor], /) -> tuple[Tensor, ...]:
        """Inputs by their names, in the order in which the module takes them."""


def outputs_of(model: nn.Module, inputs: Inputs) -> tuple[str, tuple[str, ...]]:
    """The name of the output that `output_of` gives, and the others with their shapes, in words.

    Raises:
        InputError: as `output_of`.
    """
    given: list[Any] = []
    # Before any hook that picks one of them.
    watch = model.register_forward_hook(lambda _m, _a, out: given.append(out), prepend=True)
    try:
        judged = judged_output(_called(model, inputs))
    finally:
        watch.remove()
    named = named_outputs(given[-1])
    used = next((one for one, tensor in named.items() if tensor is judged), "")
    if not used:  # what comes behind made one of them all
        return "", ()
    known = described(named)
    return used, tuple(f"{name} {known[name]}" for name in named if name != used)


def take(inputs: AllInputs, index: Int[Tensor, " chosen"]) -> Inputs:
    """The chosen examples of a batch, in that order, read if they were not."""
    return next(taken(inputs, [index]))


def taken(inputs: AllInputs, parts: Iterable[Int[Tensor, " _"]]) -> Iterator[Inputs]:
    """The same of one choice after the other; what is not held is read ahead of its use."""
    if isinstance(inputs, Streamed):
        yield from inputs.in_turn(parts)
    else:
        yield from (part_of(inputs, index) for index in parts)


@overload
def part_of(inputs: Inputs, index: Int[Tensor, " chosen"]) -> Inputs: ...
@overload
def part_of(inputs: AllInputs, index: Int[Tensor, " chosen"]) -> AllInputs: ...
def part_of(inputs: AllInputs, index: Int[Tensor, " chosen"]) -> AllInputs:
    """The chosen examples alone, held or not as they all were."""
    if isinstance(inputs, Streamed):
        return inputs.of(index)
    return each(inputs, lambda values: values[index])


@overload
def each(inputs: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs: ...
@overload
def each(inputs: AllInputs, change: Callable[[Tensor], Tensor]) -> AllInputs: ...
def each(inputs: AllInputs, change: Callable[[Tensor], Tensor]) -> AllInputs:
    """Every tensor of a batch changed, and the batch of the same kind."""
    if isinstance(inputs, Streamed):
        return inputs.changed(change)
    if isinstance(inputs, Mapping):
        changed = {name: change(values) for name, values in inputs.items()}
        return type(inputs)(changed) if isinstance(inputs, Texts) else changed
    return change(inputs)


def parts_alike(inputs: AllInputs, size: int) -> Iterator[Int[Tensor, " part"]]:
    """The places of all examples, so many at a time at most, texts of one length together: they
    need no padding."""
    every = torch.arange(batch_size(inputs))
    lengths = inputs.lengths if isinstance(inputs, Texts) else torch.zeros_like(every)
    for length in lengths.unique():
        yield from every[lengths == length].split(size)


def unpadded(inputs: Inputs) -> Inputs:
    """Of texts that are padded beyond the longest among them only so far; all else as it is."""
    return inputs.unpadded() if isinstance(inputs, Texts) else inputs


def batch_size(inputs: AllInputs) -> int:
    """How many examples a batch holds."""
    if isinstance(inputs, Mapping):
        return int(next(iter(inputs.values())).shape[0])
    return int(inputs.shape[0])


def raw_tensors(inputs: AllInputs) -> list[Tensor]:
    """The floating tensors a model is fed: images, not tokens; empty ones for what is not held."""
    if isinstance(inputs, Streamed):
        return [inputs.described]
    tensors = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    return [tensor for tensor in tensors if tensor.is_floating_point()]


def takes_images(inputs: AllInputs, preprocessing: Preprocessing | None) -> bool:
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
