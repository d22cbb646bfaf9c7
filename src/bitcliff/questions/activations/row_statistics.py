"""Statistics of values, one example a row; nothing here knows of a network."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from bitcliff.quant import Scheme
from bitcliff.quant.rows import row_range
from bitcliff.questions.activations.causes import FEW, HARMED_DB

LIMIT_DB = 150.0
"""Ratios are given within +- this: float32 with its 24 bits holds 144 dB, so more is exact."""

STEPS = 50
"""Histogram bins from the lowest to the highest value: what a small picture can still show."""

_TAIL = 0.999

_FEWEST = 8
"""Values of a channel or token, at least: of fewer the size is chance."""


@dataclass(frozen=True)
class Bins:
    """Bins of one width; the first is about first * width, so that one is about zero."""

    width: float
    first: int
    count: int

    @staticmethod
    def over(low: float, high: float) -> "Bins":
        """`STEPS` widths over [low, high], which holds zero."""
        width = (high - low) / STEPS or 1.0
        first, last = (math.floor(end / width + 0.5) for end in (low, high))
        return Bins(width, first, last - first + 1)


def histogram(values: Float[Tensor, "n k"], bins: Bins) -> Int64[Tensor, " bins"]:
    """How many values each bin holds; those beyond the ends count in the end bins."""
    places = (values.double() / bins.width + 0.5).floor_() - bins.first
    return torch.bincount(places.clamp_(0, bins.count - 1).long().flatten(), minlength=bins.count)


def sqnr_db(signal: Float[Tensor, "n k"], found: Float[Tensor, "n k"]) -> Float64[Tensor, " n"]:
    """10 log10(sum x^2 / sum (found - x)^2) of each row, within +-`LIMIT_DB` (equal: +)."""
    wide = signal.double()
    return _ratio_db(wide.square().sum(1), (found.double() - wide).square_().sum(1))


def collapsed(values: Float[Tensor, "n k"], rounded: Float[Tensor, "n k"]) -> Float64[Tensor, " n"]:
    """Share of the values other than zero that are zero once rounded; NaN where all are zero."""
    alive: Bool[Tensor, "n k"] = values != 0
    return (alive & (rounded == 0)).sum(1).double() / alive.sum(1)


def unequal(
    values: Float[Tensor, "n channels tokens"], rounded: Float[Tensor, "n channels tokens"]
) -> dict[str, Float64[Tensor, " n"]]:
    """How far channels and tokens differ in size, and what rounding leaves each of them.

    Returns:
        `channels_lost`, `channel_ratio`, `tokens_lost`, `token_ratio` as in `Numbers`; NaN where a
        row does not have them.
    """
    wide = values.double()
    signal, error = wide.square(), (rounded.double() - wide).square_()
    return {
        **_of_parts(signal, error, "channel"),
        **_of_parts(signal.mT, error.mT, "token"),
    }


def _of_parts(
    signal: Float64[Tensor, "n parts k"], error: Float64[Tensor, "n parts k"], name: str
) -> dict[str, Float64[Tensor, " n"]]:
    """From the squares of each part's values."""
    if signal.shape[1] < 2 or signal.shape[2] < _FEWEST:
        nothing = torch.full((len(signal),), torch.nan, dtype=torch.float64)
        return {f"{name}s_lost": nothing, f"{name}_ratio": nothing}
    signal, error = signal.mean(2), error.mean(2)
    there = signal > 0
    lost = there & (signal < 10 ** (HARMED_DB / 10) * error)
    count = there.sum(1)
    ordered = torch.where(there, signal, torch.inf).sort(1).values
    low = ordered.gather(1, (FEW * (count - 1)).floor().clamp(min=0).long()[:, None])[:, 0]
    ratio = (signal.amax(1) / low).sqrt()
    return {
        f"{name}s_lost": lost.sum(1) / count.double(),
        f"{name}_ratio": torch.where(count > 0, ratio, torch.nan),
    }


def tails(values: Float[Tensor, "n k"], scheme: Scheme) -> dict[str, Float64[Tensor, " n"]]:
    """How each row's values lie: `kurtosis`, `peak`, `offset`, `constant_db` as in `Numbers`.

    NaN where a row does not have the number: the kurtosis of equal values, the peak of zeros.
    """
    wide = values.double()
    squares = (wide - wide.mean(1, keepdim=True)).square_()
    spread = squares.mean(1)
    size = wide.abs()
    # Equal values are held exactly wherever they lie, and their mean is all there is to lose.
    differ = wide.amax(1) > wide.amin(1)
    return {
        "kurtosis": torch.where(differ, squares.square().mean(1) / spread.square() - 3, torch.nan),
        "peak": size.amax(1) / _upper(size),
        "offset": torch.where(differ, _offset(wide, scheme), 0.0),
        "constant_db": torch.where(differ, _ratio_db(wide.square().mean(1), spread), 0.0),
    }


def _offset(values: Float64[Tensor, "n k"], scheme: Scheme) -> Float64[Tensor, " n"]:
    """Share of the grid's range between zero and the nearest values, but for 0.1 % of them."""
    low, high = row_range(values, scheme)
    above = -_upper(-values) - low.clamp(min=0)
    below = high.clamp(max=0) - _upper(values)
    return torch.maximum(above, below).clamp(min=0) / (high - low)


def _upper(values: Float64[Tensor, "n k"]) -> Float64[Tensor, " n"]:
    """Each row's 99.9th percentile, the order statistic below it: it leaves out one value or more.

    Between order statistics it would be all but the maximum itself in rows of a few values.
    """
    place = math.floor(_TAIL * (values.shape[1] - 1))
    return values.kthvalue(place + 1, dim=1).values


def _ratio_db(
    wanted: Float64[Tensor, " n"], unwanted: Float64[Tensor, " n"]
) -> Float64[Tensor, " n"]:
    ratio = 10 * (wanted.log10() - unwanted.log10())
    return ratio.nan_to_num(nan=LIMIT_DB).clamp(-LIMIT_DB, LIMIT_DB)
