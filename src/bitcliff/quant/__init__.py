"""Pure tensor functions: ranges, grids, fake-quantization, straight-through gradients."""

from bitcliff.quant.activation import (
    check_bits,
    choice_gradient,
    fake_quantize,
    fake_quantize_choice,
)
from bitcliff.quant.rounding_loss import RoundingLoss, rounding_loss
from bitcliff.quant.shipped import round_by_choice, round_shipped
from bitcliff.quant.weight import fake_quantize_weight
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.scheme import MAX_BITS, MIN_BITS, Scheme

__all__ = [
    "MAX_BITS",
    "MIN_BITS",
    "Format",
    "Numerics",
    "RoundingLoss",
    "Scheme",
    "check_bits",
    "choice_gradient",
    "fake_quantize",
    "fake_quantize_choice",
    "fake_quantize_weight",
    "round_by_choice",
    "round_shipped",
    "rounding_loss",
]
