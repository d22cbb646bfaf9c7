"""`bitcliff.quant.fake_quantize` in operations that a graph has words for, equal to the last bit.

Only of a constant row's zeros a runtime may lose the sign, as ONNX Runtime's Where does.

The formula is written out literally (see DESIGN: mathematics). What the eager code decides row by
row is here a choice between results: rows that float32 does not serve are picked out, worked in
float64 and put back, so that a graph works on none of them where there are none.
"""

import math

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from bitcliff.quant import MAX_BITS, MIN_BITS, Scheme
from bitcliff.quant.loops import LARGEST_ZERO_POINT


def round_literally(
    rows: Float[Tensor, "batch k"], bits: Int[Tensor, " batch"], scheme: Scheme
) -> Float[Tensor, "batch k"]:
    """Round each row to its own number of bits and back.

    Nothing is refused: widths of 0 and 1 give NaN, wider than 16 an index out of bounds. Constant
    rows, and rows with NaN or infinity, pass unchanged.
    """
    wide = rows if rows.dtype in (torch.float32, torch.float64) else rows.float()
    # A table and not a power: those of another runtime need not be exact.
    levels = _LEVELS.to(device=rows.device)[bits]
    low, high = _ends(wide, scheme)
    out, plain = _round_plainly(wide, low.to(wide.dtype), high.to(wide.dtype), levels, scheme)
    others = (~plain).nonzero()[:, 0]
    careful = _round_carefully(wide[others], low[others], high[others], levels[others], scheme)
    out = out.index_copy(0, others, careful.to(wide.dtype))
    return out.to(rows.dtype)


_LEVELS = torch.tensor(
    [2.0**width - 1 if width >= MIN_BITS else math.nan for width in range(MAX_BITS + 1)],
    dtype=torch.float64,
)
"""By width: the number of the highest level."""


def _round_plainly(
    rows: Float[Tensor, "batch k"],
    low: Float[Tensor, " batch"],
    high: Float[Tensor, " batch"],
    levels: Float64[Tensor, " batch"],
    scheme: Scheme,
) -> tuple[Tensor, Tensor]:
    """The rounded rows, and (batch,) which of them are served so: see `quant.grid.make_grid`."""
    top = levels.to(rows.dtype)
    scale = (high - low) / top
    out, zero_point = _on_grid(rows, low, scale, top, scheme)
    tiny = _exactly(torch.finfo(rows.dtype).tiny, rows)
    plain = (scale >= tiny) & (scale < math.inf) & (zero_point.abs() <= LARGEST_ZERO_POINT)
    # A NaN may be lost in a runtime's minimum and maximum, but not in a sum.
    plain &= (rows - rows).sum(1) == 0
    return out, plain


def _round_carefully(
    rows: Float[Tensor, "some k"],
    low: Float64[Tensor, " some"],
    high: Float64[Tensor, " some"],
    levels: Float64[Tensor, " some"],
    scheme: Scheme,
) -> Float64[Tensor, "some k"]:
    """See `quant.grid.round_row_carefully`."""
    wide = rows.double()
    scale = (high - low) / levels
    overflows = scale == math.inf
    scale = torch.where(overflows, high / levels - low / levels, scale)
    out, _ = _on_grid(wide, low, scale, levels, scheme)
    flat = torch.minimum(torch.maximum(wide, low[:, None]), high[:, None])
    out = torch.where(scale[:, None] == 0, flat, out)
    broken = ((wide - wide).sum(1) != 0)[:, None]
    return torch.where(broken, wide, out)


def _on_grid(
    rows: Float[Tensor, "batch k"],
    low: Float[Tensor, " batch"],
    scale: Float[Tensor, " batch"],
    levels: Float[Tensor, " batch"],
    scheme: Scheme,
) -> tuple[Tensor, Tensor]:
    """The rows on their grids, all in one precision, and their zero points (batch,)."""
    zero_point = torch.round(-low / scale)
    if scheme.kind == "onnx":
        zero_point = torch.minimum(zero_point.clamp(min=0), levels)
    shift, step, last = (part[:, None] for part in (zero_point, scale, levels))
    integers = torch.minimum((torch.round(rows / step) + shift).clamp(min=0), last)
    return (integers - shift) * step, zero_point


def _ends(
    rows: Float[Tensor, "batch k"], scheme: Scheme
) -> tuple[Float64[Tensor, " batch"], Float64[Tensor, " batch"]]:
    """See `quant.rows.row_range`; in float64, of which its result in `rows`' type is the rounded.

    Of rows with NaN it may be anything.
    """
    if scheme.kind == "percentile" and scheme.percentile < 100:
        tail = (1 - scheme.percentile / 100) / 2
        return _quantile(rows, tail, largest=False), _quantile(rows, 1 - tail, largest=True)
    low, high = rows.amin(1).double(), rows.amax(1).double()
    return (low.clamp(max=0), high.clamp(min=0)) if scheme.kind == "onnx" else (low, high)


def _quantile(
    rows: Float[Tensor, "batch k"], share: float, largest: bool
) -> Float64[Tensor, " batch"]:
    """See `quant.rows.row_quantile`; from that end of the row from which it is nearer."""
    count = rows.shape[1]
    position = share * (count - 1)
    below, above = math.floor(position), math.ceil(position)
    if largest:
        sorted_ = rows.topk(count - below, largest=True).values.double()
        first, second = sorted_[:, count - 1 - below], sorted_[:, count - 1 - above]
    else:
        sorted_ = rows.topk(above + 1, largest=False).values.double()
        first, second = sorted_[:, below], sorted_[:, above]
    if above == below:
        return first
    part, rest = (_exactly(share, first) for share in (position - below, 1 - (position - below)))
    gap = second - first
    overflows = gap.abs() == math.inf
    return torch.where(overflows, first * rest + second * part, first + gap * part)


def _exactly(number: float, like: Tensor) -> Float[Tensor, ""]:
    """A constant as a tensor: a bare number goes through float32 on its way into a file."""
    return torch.tensor(number, dtype=like.dtype, device=like.device)
