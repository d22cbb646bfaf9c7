"""Views of a batch as one row an example, and the range of each row."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.quant.compiled import array, loops_for
from bitcliff.types.scheme import Scheme


def as_rows(x: Float[Tensor, "batch *rest"]) -> tuple[Float[Tensor, "batch k"], list[int]]:
    """Flatten each example in memory order, without a copy where the layout allows it.

    Memory order matters for speed alone: ranges and rounding do not depend on it. The second result
    is the order of the dimensions, for `from_rows`.
    """
    if x.is_contiguous():
        return x.reshape(x.shape[0], -1), list(range(x.ndim))
    order = [0, *sorted(range(1, x.ndim), key=x.stride, reverse=True)]
    return x.permute(order).reshape(x.shape[0], -1), order


def from_rows(
    rows: Float[Tensor, "batch k"], like: Float[Tensor, "batch *rest"], order: list[int]
) -> Float[Tensor, "batch *rest"]:
    """The inverse of `as_rows`."""
    if order == list(range(like.ndim)):
        return rows.view(like.shape)
    shape = [like.shape[dim] for dim in order]
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return rows.view(shape).permute(inverse)


def row_range(
    rows: Float[Tensor, "batch k"], scheme: Scheme
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """The lowest and highest value that each row's grid must hold; NaN where a row has a NaN."""
    low, high = row_ends(rows)
    if scheme.kind == "onnx":
        # NaN must survive: clamp keeps it.
        return low.clamp(max=0), high.clamp(min=0)
    if scheme.kind == "percentile" and scheme.percentile < 100:
        tail = (1 - scheme.percentile / 100) / 2
        whole = torch.isfinite(low) & torch.isfinite(high)
        low = torch.where(whole, row_quantile(rows, tail), low)
        high = torch.where(whole, row_quantile(rows, 1 - tail), high)
    return low, high


def row_ends(
    rows: Float[Tensor, "batch k"],
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """The least and the greatest of each row; NaN where it has one."""
    if (loops := loops_for(rows)) is None:
        # Two passes, yet several times faster on a CPU than aminmax, which is not vectorised.
        return rows.amin(1), rows.amax(1)
    ends = rows.new_empty(2, len(rows))
    loops.ends(array(rows).view(np.int32), *array(ends).view(np.int32))
    return ends[0], ends[1]


def row_peaks(rows: Float[Tensor, "batch k"]) -> Float[Tensor, " batch"]:
    """The largest magnitude of each row; NaN where it has one."""
    if (loops := loops_for(rows)) is None:
        return rows.abs().amax(1)
    peaks = rows.new_empty(len(rows))
    loops.largest(array(rows).view(np.int32), array(peaks).view(np.int32))
    return peaks


def row_quantile(rows: Float[Tensor, "batch k"], share: float) -> Float[Tensor, " batch"]:
    """Quantile of each row, linear between order statistics as numpy's default.

    Order statistics through `kthvalue`, since `torch.quantile` refuses more than 2^24 elements.
    """
    position = share * (rows.shape[1] - 1)
    below = math.floor(position)
    above = math.ceil(position)
    first = rows.kthvalue(below + 1, dim=1).values.double()
    if above == below:
        return first.to(rows.dtype)
    second = rows.kthvalue(above + 1, dim=1).values.double()
    part = position - below
    gap = second - first
    # The gap itself may overflow; equal ends must give just that value.
    between = torch.where(
        torch.isfinite(gap), first + gap * part, first * (1 - part) + second * part
    )
    return between.to(rows.dtype)
