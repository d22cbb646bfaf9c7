"""Calling a model on a batch, whatever shape its inputs and outputs have."""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.types.subject import Inputs


def logits_of(model: nn.Module, inputs: Inputs) -> Float[Tensor, "batch classes"]:
    """Run the model once: class scores from a tensor, a `.logits` attribute or a tuple's first.

    Raises:
        InputError: the output is none of these, or not (batch, classes).
    """
    output = model(**inputs) if isinstance(inputs, Mapping) else model(inputs)
    if not isinstance(output, Tensor):
        named = getattr(output, "logits", None)
        first = output[0] if isinstance(output, tuple) and output else None
        output = named if named is not None else first
    output = flat_scores(output) if isinstance(output, Tensor) else output
    if not isinstance(output, Tensor) or output.ndim != 2:
        what = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else "no tensor"
        raise InputError(f"the model must give class scores (batch, classes), but gave {what}")
    return output


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


def takes_images(inputs: Inputs) -> bool:
    """Whether a model is fed images of 1 or 3 channels, wherever those lie."""
    return any(x.ndim == 4 and {1, 3} & {x.shape[1], x.shape[-1]} for x in raw_tensors(inputs))


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
