"""Operators that pick entries out or put them in."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from bitcliff.adapters.onnx.operators.sizes import Sizes, number
from bitcliff.errors import InputError

# No axis is longer: from here on exporters mean an end left open, as tf2onnx by 10^9 and 2^31 - 1.
_TO_THE_END = 10**9


def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Whole slices; negative indices count from the end."""
    axis %= x.ndim
    positions = _from_start(indices, x.shape[axis]).flatten()
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return x.index_select(axis, positions).reshape(shape)


def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Single entries along one axis."""
    return x.gather(axis, _from_start(indices, x.shape[axis]))


def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """Entries or slices by their whole address, the last axis of the indices."""
    lead = [
        torch.arange(size).reshape([-1] + [1] * (indices.ndim - 2 - axis))
        for axis, size in enumerate(indices.shape[:batch_dims])
    ]
    return x[(*lead, *indices.long().unbind(-1))]


def scatter_elements(
    x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none"
) -> Tensor:
    """Single entries along one axis, into a copy."""
    positions = _from_start(indices, x.shape[axis])
    if reduction == "none":
        return x.scatter(axis, positions, updates)
    how = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}[reduction]
    return x.scatter_reduce(axis, positions, updates, how)


def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """Entries or slices by their whole address, into a copy."""
    if reduction not in ("none", "add"):
        raise InputError(f"it scatters with reduction {reduction}, which is not supported")
    return x.index_put(indices.long().unbind(-1), updates, accumulate=reduction == "add")


def slice_of(
    x: Tensor,
    first: Tensor | Sizes | None = None,
    last: Tensor | Sizes | None = None,
    along: Tensor | None = None,
    by: Tensor | None = None,
    *,
    starts: Sequence[int] = (),
    ends: Sequence[int] = (),
    axes: Sequence[int] = (),
) -> Tensor:
    """As in Python, along each of the axes in turn."""
    begin = list(starts) if first is None else first.tolist()
    end = list(ends) if last is None else last.tolist()
    chosen = (list(axes) if along is None else along.tolist()) or list(range(len(begin)))
    steps = [1] * len(begin) if by is None else by.tolist()
    for axis, start, stop, step in zip(chosen, begin, end, steps, strict=True):
        if (start, step) == (0, 1) and stop >= _TO_THE_END:
            continue  # all of an axis, as tf2onnx writes: in an export the batch stays open
        positions = slice(start, stop, step).indices(x.shape[axis])
        if step > 0:
            index = [slice(None)] * x.ndim
            index[axis] = slice(*positions)
            x = x[tuple(index)]
        else:
            x = x.index_select(axis, torch.tensor(range(*positions), dtype=torch.int64))
    return x


def top_k(
    x: Tensor, k: Tensor, *, axis: int = -1, largest: int = 1, sorted: int = 1
) -> tuple[Tensor, Tensor]:
    """In order always; of equals the first comes first."""
    values, positions = x.sort(dim=axis, descending=bool(largest), stable=True)
    count = int(number(k))
    if count > x.shape[axis]:
        raise InputError(f"the first {count} of {x.shape[axis]} are asked for")
    return values.narrow(axis, 0, count), positions.narrow(axis, 0, count)


def trilu(x: Tensor, k: Tensor | None = None, *, upper: int = 1) -> Tensor:
    """The part above a diagonal, or below it."""
    diagonal = 0 if k is None else int(number(k))
    return torch.triu(x, diagonal) if upper else torch.tril(x, diagonal)


def cumulative_sum(x: Tensor, axis: Tensor, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """Without the entry itself if `exclusive`; from the end if `reverse`."""
    along = int(number(axis))
    turned = x.flip(along) if reverse else x
    sums = turned.cumsum(along).to(x.dtype)
    sums = sums - turned if exclusive else sums
    return sums.flip(along) if reverse else sums


def one_hot(indices: Tensor, depth: Tensor, values: Tensor, *, axis: int = -1) -> Tensor:
    """Indices that are out of range give no one."""
    count = int(number(depth))
    wrapped = torch.where(indices < 0, indices + count, indices)
    positions = torch.arange(count).to(indices.dtype)
    along = axis % (indices.ndim + 1)
    hot = wrapped.unsqueeze(along) == positions.reshape([-1] + [1] * (indices.ndim - along))
    return torch.where(hot, values[1], values[0])


def _from_start(indices: Tensor, size: int | torch.SymInt) -> Tensor:
    indices = indices.long()
    return torch.where(indices < 0, indices + size, indices)


SELECTION: dict[str, Callable[..., Any]] = {
    "CumSum": cumulative_sum,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "NonZero": lambda x: x.nonzero().t(),
    "OneHot": one_hot,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Slice": slice_of,
    "TopK": top_k,
    "Trilu": trilu,
}
