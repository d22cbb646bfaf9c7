"""Operators that bring axes together into one number each."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_Reduction = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def _reduced(function: _Reduction) -> Callable[..., Tensor]:
    """Axes are an attribute in older opsets and an input in newer ones; none: all of them."""

    def run(
        x: Tensor,
        given: Tensor | None = None,
        *,
        axes: Sequence[int] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:
        chosen = tuple(given.tolist() if given is not None else axes or ())
        if not chosen and noop_with_empty_axes:
            return function(x.unsqueeze(-1), (-1,), False).to(x.dtype)
        chosen = chosen or tuple(range(x.ndim))
        return (function(x, chosen, bool(keepdims)) if chosen else x).to(x.dtype)

    return run


def _product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def _mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return (x if x.is_floating_point() else x.double()).mean(axes, keep)


def _log_sum_exp(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.logsumexp(x if x.is_floating_point() else x.double(), axes, keep)


def _extreme(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
        if not select_last_index:
            return function(x, axis, bool(keepdims))
        return x.shape[axis] - 1 - function(x.flip(axis), axis, bool(keepdims))

    return run


def _spatial(function: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: function(x, tuple(range(2, x.ndim)), True) if x.ndim > 2 else x


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ArgMax": _extreme(torch.argmax),
    "ArgMin": _extreme(torch.argmin),
    "GlobalAveragePool": _spatial(torch.mean),
    "GlobalMaxPool": _spatial(torch.amax),
    "ReduceL1": _reduced(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": _reduced(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceLogSum": _reduced(lambda x, axes, keep: x.sum(axes, keep).log()),
    "ReduceLogSumExp": _reduced(_log_sum_exp),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(_mean),
    "ReduceMin": _reduced(torch.amin),
    "ReduceProd": _reduced(_product),
    "ReduceSum": _reduced(torch.sum),
    "ReduceSumSquare": _reduced(lambda x, axes, keep: x.square().sum(axes, keep)),
}
