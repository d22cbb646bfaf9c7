"""Pools over windows."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from bitcliff.adapters.onnx.operators.windows import Window, is_even, padded
from bitcliff.errors import InputError

_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] = (),
    pads: Sequence[int] = (),
    storage_order: int = 0,
    strides: Sequence[int] = (),
    outputs: int = 1,
) -> Tensor:
    """The largest of each window."""
    if outputs > 1:
        raise InputError("the positions of the largest values are not given")
    window = Window(kernel_shape, strides, dilations, pads, auto_pad)
    padding = window.padding(x)
    given, own = _own_padding(x, window, padding, _least(x))
    rest = (window.along(strides), own, window.along(dilations), bool(ceil_mode))
    return _MAX[x.ndim - 2](given, list(kernel_shape), *rest)


def average_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] = (),
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
) -> Tensor:
    """The mean of each window, of what is not padding unless `count_include_pad`."""
    if any(size != 1 for size in dilations):
        raise InputError("an average over a dilated window is not given")
    window = Window(kernel_shape, strides, pads=pads, auto_pad=auto_pad)
    padding = window.padding(x)
    pool = _AVERAGE[x.ndim - 2]
    given, own = _own_padding(x, window, padding, 0.0)
    rest = (list(kernel_shape), window.along(strides), own, bool(ceil_mode))
    if given is x or count_include_pad:
        return pool(given, *rest, count_include_pad=bool(count_include_pad))
    inside = padded(torch.ones_like(x), padding)
    return pool(given, *rest) / pool(inside, *rest)


def _own_padding(
    x: Tensor, window: Window, padding: list[tuple[int, int]], value: float
) -> tuple[Tensor, list[int]]:
    """x, and what PyTorch's pools are to pad; x padded, and nothing, where they cannot."""
    fits = all(2 * before <= size for (before, _), size in zip(padding, window.kernel, strict=True))
    if fits and is_even(padding):
        return x, [before for before, _ in padding]
    return padded(x, padding, value), [0] * len(padding)


def _least(x: Tensor) -> float:
    return float("-inf") if x.is_floating_point() else float(torch.iinfo(x.dtype).min)


POOLS: dict[str, Callable[..., Any]] = {"AveragePool": average_pool, "MaxPool": max_pool}
