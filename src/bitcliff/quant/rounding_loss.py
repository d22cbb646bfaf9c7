"""Where values go when a tensor is rounded to a shipped format: saturated, to zero, or a step away.

Counts and sums, which add up over the parts of a tensor whose groups lie in one part each.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from bitcliff.quant.groups import as_groups
from bitcliff.quant.shipped import Scales, arithmetic_of, scales_of
from bitcliff.types.numerics import FLOATS, POWERS_OF_TWO, Numerics

_LEAST_E8M0 = 2.0**-127
_LEAST_NORMAL_E4M3 = 2.0**-6


@dataclass(frozen=True)
class RoundingLoss:
    """What became of a tensor's values.

    Attributes:
        values: how many. saturated: beyond the format's ends once divided by their scale, and so
            set onto the end; a value that merely rounds to the end is none.
        nonzero: not zero before. underflowed: of those, zero after.
        groups: that share a scale. floored: of those, whose scale would have to be less than the
            format lets it be for their largest value to lie at its end; a group of zeros is none.
        signal: sum of squares before. error: sum of squared differences.
    """

    values: int = 0
    saturated: int = 0
    nonzero: int = 0
    underflowed: int = 0
    groups: int = 0
    floored: int = 0
    signal: float = 0.0
    error: float = 0.0

    def __add__(self, other: "RoundingLoss") -> "RoundingLoss":
        return RoundingLoss(*(a + b for a, b in zip(_parts(self), _parts(other), strict=True)))


def _parts(loss: RoundingLoss) -> tuple[Any, ...]:
    return tuple(vars(loss).values())


def rounding_loss(
    x: Float[Tensor, "batch *rest"], rounded: Float[Tensor, "batch *rest"], numerics: Numerics
) -> RoundingLoss:
    """What became of `x`, finite, of which `rounded` was made by `round_shipped`.

    Raises:
        InputError: as `round_shipped`.
    """
    if x.numel() == 0:
        return RoundingLoss()
    groups, restore = as_groups(x.float(), numerics)
    scales = scales_of(groups, numerics, arithmetic_of(x, numerics))
    wide, after = x.double(), rounded.double()
    nonzero = wide != 0
    return RoundingLoss(
        values=x.numel(),
        # Blocks that were filled up hold zeros that are no values of the tensor.
        saturated=int(restore(_beyond(groups, scales, numerics)).sum()),
        nonzero=int(nonzero.sum()),
        underflowed=int((nonzero & (after == 0)).sum()),
        groups=len(groups),
        floored=int(_floored(groups, numerics).sum()),
        signal=float(wide.square().sum()),
        error=float((after - wide).square().sum()),
    )


def _beyond(
    groups: Float[Tensor, "groups k"], scales: Scales, numerics: Numerics
) -> Bool[Tensor, "groups k"]:
    """Values that would be rounded beyond the format's ends if it had more levels."""
    values = groups * scales.by if scales.multiply else groups / scales.by
    if (element := numerics.float_element) is not None:
        step = 2.0 ** (element.largest_exponent - element.mantissa)
        return values.abs() > element.most + step / 2
    least, most = numerics.levels
    levels = values.round() if scales.zero is None else values.round() + scales.zero
    return (levels < least) | (levels > most)


def _floored(groups: Float[Tensor, "groups k"], numerics: Numerics) -> Bool[Tensor, " groups"]:
    """Groups that ask for a smaller scale than there is."""
    wide = groups.double()
    amax = wide.abs().amax(1)
    wanted = amax / (numerics.divisor if numerics.scale == "amax" else 1.0)
    if numerics.scale == "one":
        return torch.zeros_like(amax, dtype=torch.bool)
    if numerics.asymmetric:
        low, high = wide.amin(1), wide.amax(1)
        if numerics.scale == "minmax-zero":
            low, high = low.clamp(max=0), high.clamp(min=0)
        wanted = (high - low) / (numerics.levels[1] - numerics.levels[0])
    elif (element := numerics.float_element) is not None and numerics.scale != "amax":
        wanted = amax / element.most
    return (amax > 0) & (wanted < _least_scale(numerics, amax))


def _least_scale(numerics: Numerics, amax: Float64[Tensor, " groups"]) -> float:
    if numerics.scale in POWERS_OF_TWO:
        return _LEAST_E8M0
    if numerics.scale == "two-level":
        whole = float(amax.amax()) / (FLOATS["e4m3"].most * FLOATS["e2m1"].most)
        return _LEAST_NORMAL_E4M3 * whole
    if isinstance(numerics.floor, str):
        return torch.finfo(torch.float32).smallest_normal
    return numerics.floor
