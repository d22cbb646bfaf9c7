"""Rounding to small floats: half to even, what is beyond the largest saturated onto it."""

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.types.numerics import FloatElement


def round_to_float(x: Float[Tensor, "*shape"], element: FloatElement) -> Float[Tensor, "*shape"]:
    """The nearest value of `element` to each of `x` (float32); NaN stays.

    The step between neighbours is 2^(e - mantissa bits), with e the exponent of the value, or the
    least normal exponent below it. Scaling by a power of two is exact, so that `round` alone
    decides.
    """
    clamped = x.clamp(-element.most, element.most)
    exponent = torch.frexp(clamped).exponent - 1
    step = (exponent.clamp_(min=1 - element.bias) - element.mantissa).float().exp2_()
    return (clamped / step).round_().mul_(step)


def power_of_two(exponent: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """2^exponent exactly, for whole exponents from -149 to 127; NaN stays."""
    return torch.ldexp(torch.ones_like(exponent), exponent)


def exponent_of(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """floor(log2 |x|) from the bits of float32, as hardware reads it: -127 for zero and subnormals.

    NaN and infinity give NaN.
    """
    bits = (x.abs().view(torch.int32) >> 23) - 127
    return torch.where(torch.isfinite(x), bits.float(), float("nan"))
