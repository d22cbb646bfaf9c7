"""Rounding to small floats: half to even, what is beyond the largest saturated onto it."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.quant.compiled import array, loops_for
from bitcliff.types.numerics import FloatElement

_LEAST_POWER = 1 << 22  # the bits of 2^-127, which is no normal float
_ONE = np.ones(1, np.float32)


def round_to_float(x: Float[Tensor, "*shape"], element: FloatElement) -> Float[Tensor, "*shape"]:
    """The nearest value of `element` to each of `x` (float32); NaN stays.

    The step between neighbours is 2^(e - mantissa bits), with e the exponent of the value, or the
    least normal exponent below it. Scaling by a power of two is exact, so that `round` alone
    decides.
    """
    if (loops := loops_for(x)) is not None:
        out = torch.empty_like(x)
        in_one_row = (array(one).reshape(1, -1) for one in (x, out))
        loops.to_floats(next(in_one_row), _ONE, True, *element_of(element), _ONE, next(in_one_row))
        return out
    clamped = x.clamp(-element.most, element.most)
    exponent = torch.frexp(clamped).exponent - 1
    step = (exponent.clamp_(min=1 - element.bias) - element.mantissa).float().exp2_()
    return (clamped / step).round_().mul_(step)


def element_of(element: FloatElement) -> tuple[np.float32, np.int32, np.int32]:
    """As the loop takes it; of these types, for it is compiled anew for each other type."""
    return np.float32(element.most), np.int32(1 - element.bias), np.int32(element.mantissa)


def power_of_two(exponent: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """2^exponent exactly, for whole exponents from -127 to 127, as E8M0 has them; NaN stays."""
    # As bits, for ldexp takes a power of each.
    bits = (exponent + 127).to(torch.int32).bitwise_left_shift_(23).clamp_(min=_LEAST_POWER)
    return torch.where(exponent.isnan(), exponent, bits.view(torch.float32))


def exponent_of(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """floor(log2 |x|) from the bits of float32, as hardware reads it: -127 for zero and subnormals.

    NaN and infinity give NaN.
    """
    bits = (x.abs().view(torch.int32) >> 23) - 127
    return torch.where(torch.isfinite(x), bits.float(), float("nan"))
