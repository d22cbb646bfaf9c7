"""Pure tensor functions: ranges, grids, fake-quantization, straight-through gradients."""

from bitcliff.quant.activation import (
    MAX_BITS,
    MIN_BITS,
    check_bits,
    choice_gradient,
    fake_quantize,
    fake_quantize_choice,
)
from bitcliff.quant.scheme import Scheme
from bitcliff.quant.weight import fake_quantize_weight

__all__ = [
    "MAX_BITS",
    "MIN_BITS",
    "Scheme",
    "check_bits",
    "choice_gradient",
    "fake_quantize",
    "fake_quantize_choice",
    "fake_quantize_weight",
]
