"""The integer grid of each row, and rounding onto it (DESIGN: mathematics; paper eq. 1-2).

    s = (hi - lo) / (2^b - 1)    z = round(-lo / s)
    q = clamp(round(x / s) + z, 0, 2^b - 1)    x_hat = (q - z) * s

In float32 x / s is exact enough only while z is far from 2^24. Rows for which it is not (a narrow
range far from zero), or whose scale leaves float32's normal range, are worked in float64 instead,
row by row, so that a row's result never depends on its batch-mates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bitcliff.quant.compiled import array, loops_for
from bitcliff.quant.loops import LARGEST_ZERO_POINT
from bitcliff.quant.rows import row_range
from bitcliff.types.scheme import Scheme

OnBroken = Callable[[Bool[Tensor, " batch"]], None]
"""Called with the rows that hold a NaN or an infinity, only when some do."""


@dataclass(frozen=True)
class Grid:
    """One grid a row: scale, and the lowest and highest level as multiples of it (-z and n - z).

    `plain` marks the rows that float32 serves; the others are for `round_row_carefully`.
    """

    low: Float[Tensor, " batch"]
    high: Float[Tensor, " batch"]
    scale: Float[Tensor, " batch"]
    bottom: Float[Tensor, " batch"]
    top: Float[Tensor, " batch"]
    plain: Bool[Tensor, " batch"]


def make_grid(
    low: Float[Tensor, " batch"],
    high: Float[Tensor, " batch"],
    bits: Int[Tensor, " batch"],
    scheme: Scheme,
) -> Grid:
    """The grid of 2^bits levels over [low, high]."""
    levels = torch.exp2(bits.to(low.dtype)) - 1
    scale = (high - low) / levels
    zero_point = torch.round(-low / scale)
    if scheme.kind == "onnx":
        zero_point = torch.minimum(zero_point.clamp(min=0), levels)
    plain = (scale >= torch.finfo(low.dtype).tiny) & torch.isfinite(scale)
    plain &= zero_point.abs() <= LARGEST_ZERO_POINT
    # Not -zero_point, which may be a negative zero.
    return Grid(low, high, scale, 0 - zero_point, levels - zero_point, plain)


def round_rows(
    rows: Float[Tensor, "batch k"],
    bits: Int[Tensor, " batch"],
    scheme: Scheme,
    on_broken: OnBroken | None = None,
) -> Float[Tensor, "batch k"]:
    """Fake-quantize each row; a new tensor. `on_broken` hears of rows with NaN or Inf."""
    loops = None if scheme.kind == "percentile" else loops_for(rows)
    if loops is not None:
        out = torch.empty_like(rows)
        with_zero = scheme.kind == "onnx"
        if not loops.to_own_grid(array(rows), array(bits), with_zero, array(out)):
            return out
    grid = make_grid(*row_range(rows, scheme), bits, scheme)
    if loops is None:
        out = _on_grid(rows, grid, scheme)
    if not bool(grid.plain.all()):
        for index in (~grid.plain).nonzero().flatten().tolist():
            out[index] = round_row_carefully(rows[index], bits[index], scheme)
        broken = ~torch.isfinite(grid.low) | ~torch.isfinite(grid.high)
        if on_broken is not None and bool(broken.any()):
            on_broken(broken)
    return out


def _on_grid(
    rows: Float[Tensor, "batch k"], grid: Grid, scheme: Scheme
) -> Float[Tensor, "batch k"]:
    """Each row on its grid, if that is `plain`.

    clamp(round(x / s), -z, n - z) * s is the formula above with z taken out of the clamp, equal to
    the last bit while all of these are exact integers; adding zero makes negative zeros positive.
    """
    column = (slice(None), None)
    out = (rows / grid.scale[column]).round_()
    clamp_to_ends(out, grid.bottom[column], grid.top[column], scheme).mul_(grid.scale[column])
    return out.add_(0.0)


def clamp_to_ends(
    levels: Float[Tensor, "*rows k"],
    bottom: Float[Tensor, "*rows 1"],
    top: Float[Tensor, "*rows 1"],
    scheme: Scheme,
) -> Float[Tensor, "*rows k"]:
    """Clamp integers x / s to their grid's ends, in place; for rows that are `plain`.

    Not clamp, which with tensor bounds is five times slower on a CPU. No value lies below a range
    that begins at the minimum, and division and rounding keep it so: there the lower end is spared.
    """
    if scheme.kind == "percentile":
        torch.maximum(levels, bottom, out=levels)
    return torch.minimum(levels, top, out=levels)


def round_row_carefully(
    row: Float[Tensor, " k"], bits: Int[Tensor, ""], scheme: Scheme
) -> Float[Tensor, " k"]:
    """The rows that the float32 formula does not serve.

    A row with NaN or infinity passes as it is, for the caller to count as a numeric failure. A
    range of width zero passes unchanged too, but for percentiles, where what lies outside the
    range is clipped onto it: a row that is not constant must not pass as if it were in float.
    """
    if not bool(torch.isfinite(row).all()):
        return row
    wide = row.double()
    low, high = (end[0] for end in row_range(wide[None], scheme))
    levels = 2.0 ** int(bits) - 1
    scale = (high - low) / levels
    if not bool(torch.isfinite(scale)):  # the difference overflowed
        scale = high / levels - low / levels
    if scale == 0:
        return row.clamp(low.to(row.dtype), high.to(row.dtype))
    zero_point = torch.round(-low / scale)
    if scheme.kind == "onnx":
        zero_point = zero_point.clamp(0, levels)
    integers = (torch.round(wide / scale) + zero_point).clamp(0, levels)
    return ((integers - zero_point) * scale).to(row.dtype)
