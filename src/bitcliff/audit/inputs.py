"""A network's inputs as it is fed them: laid out for speed, or nudged by what no one would see."""

from typing import overload

import torch
from torch import Tensor

from bitcliff.points.forward import each
from bitcliff.types.subject import AllInputs, Inputs

NUDGE = 1e-6
"""Relative size of a nudge: some ten units in the last place of a float32."""


@overload
def laid_out_for_speed(inputs: Inputs) -> Inputs: ...
@overload
def laid_out_for_speed(inputs: AllInputs) -> AllInputs: ...
def laid_out_for_speed(inputs: AllInputs) -> AllInputs:
    """The same values; images with channels last in memory, where convolutions run faster."""
    return each(inputs, _channels_last)


def _channels_last(values: Tensor) -> Tensor:
    is_pictures = values.ndim == 4 and values.is_floating_point()
    return values.contiguous(memory_format=torch.channels_last) if is_pictures else values


def nudged(values: Tensor, number: int, alike: bool = True) -> Tensor:
    """Floats multiplied by noise around 1; anything else as it is.

    Args:
        number: of the draw. alike: every example gets the same noise.
    """
    if not values.is_floating_point():
        return values
    noise = torch.Generator().manual_seed(number)
    shape = values.shape[1:] if alike else values.shape
    factor = 1 + NUDGE * torch.randn(shape, generator=noise)
    return (values * factor).to(values.dtype)
