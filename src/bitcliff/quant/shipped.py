"""Fake-quantization in a shipped format (`types/numerics.py`): operation by operation as it is run.

Formulas agree in real numbers and differ in floating point, and with them the values near a tie:
so nothing here is simplified, and `tests/quant/conformance/` holds each preset to its oracle, bit
for bit. Scales are worked in float32 (or the tensor's own type where the runtime does so).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from bitcliff.compiled import Loops
from bitcliff.errors import InputError
from bitcliff.quant.compiled import array, loops_for
from bitcliff.quant.groups import as_groups
from bitcliff.quant.minifloat import element_of, exponent_of, power_of_two, round_to_float
from bitcliff.quant.rows import row_ends, row_peaks
from bitcliff.types.numerics import FLOATS, POWERS_OF_TWO, Numerics
from bitcliff.types.presets import preset

_LEAST_NORMAL_E4M3 = 2.0**-6


@dataclass(frozen=True)
class Scales:
    """Of each group: what values are divided or multiplied by, the scale they come back by.

    Attributes:
        by: (groups, 1). multiply: whether values are multiplied by it, or divided.
        scale: (groups, 1). zero: (groups, 1) zero points; None in symmetric formats.
    """

    by: Float[Tensor, "groups 1"]
    multiply: bool
    scale: Float[Tensor, "groups 1"]
    zero: Float[Tensor, "groups 1"] | None = None


def round_shipped(
    x: Float[Tensor, "batch *rest"], numerics: Numerics | str
) -> Float[Tensor, "batch *rest"]:
    """Round `x` to a shipped format and back; the gradient in `x` is the identity.

    Args:
        x: float32, float16 or bfloat16; tokens and blocks run along its last axis. A float64 tensor
            is worked in float32, as runtimes do.
        numerics: a format, or the name of a preset, whose activations' or cache's format is meant.

    Returns:
        A tensor like `x`. What a group with NaN or infinity becomes is the arithmetic's affair: a
        caller counts its example as a numeric failure.

    Raises:
        InputError: no such preset, one of weights alone, a tensor without axes or of another type,
            or an axis that blocks do not divide where the format demands it.
    """
    if isinstance(numerics, str):
        found = preset(numerics).of_values
        if not found:
            raise InputError(f"{numerics!r} rounds weights alone")
        numerics = found[0]
    if x.ndim == 0 or not x.is_floating_point():
        raise InputError(f"x must be a floating tensor (batch, *rest), not {x.dtype} {x.shape}")
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _round(x, numerics)
    result: Tensor = _StraightThrough.apply(x, numerics)
    return result


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, numerics: Numerics) -> Tensor:
        return _round(x.detach(), numerics)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


Rounder = Callable[[Tensor], Tensor]
"""From a tensor to its like, rounded."""


def round_by_choice(
    x: Float[Tensor, "*shape"], choice: Float[Tensor, " options"], rounders: Sequence[Rounder]
) -> Float[Tensor, "*shape"]:
    """Round `x` by the one of several that `choice` has a 1 at, differentiable in the choice.

    The gradient in `x` is the identity; in choice[o] it is <g, Q_o(x) - x> over the whole tensor,
    as `fake_quantize_choice` has it for each example.

    Raises:
        InputError: `choice` is not one-hot, or not of as many options as there are rounders.
    """
    one_hot = int((choice == 1).sum()) == int((choice != 0).sum()) == 1
    if choice.shape != (len(rounders),) or not one_hot:
        given = choice.tolist()
        raise InputError(f"choice must be one-hot over {len(rounders)} options, not {given}")
    result: Tensor = _Chosen.apply(x, choice, tuple(rounders))
    return result


class _Chosen(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, choice: Tensor, rounders: tuple[Rounder, ...]
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.rounders = rounders  # type: ignore[attr-defined]
        return rounders[int(choice.argmax())](x.detach())

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        gradient = grads[0]
        # Infinity less infinity is not a number; such an example is a numeric failure anyway.
        errors = (((rounder(x) - x).nan_to_num(0.0) * gradient).sum() for rounder in ctx.rounders)
        return gradient, torch.stack(list(errors)), None


def _round(x: Float[Tensor, "batch *rest"], numerics: Numerics) -> Float[Tensor, "batch *rest"]:
    if x.numel() == 0:
        return x.clone()
    groups, restore = as_groups(x.float(), numerics)
    arithmetic = arithmetic_of(x, numerics)
    exact = arithmetic.rounded
    scales = scales_of(groups, numerics, arithmetic)
    if (loops := loops_for(groups)) is not None and arithmetic.in_float32:
        return restore(_in_one_pass(loops, groups, scales, numerics)).to(x.dtype)
    values = exact(groups * scales.by if scales.multiply else groups / scales.by)
    if (element := numerics.float_element) is not None:
        levels = round_to_float(values, element)
    else:
        levels = _integers(values, scales.zero, numerics)
    return restore(exact(levels * scales.scale)).to(x.dtype)


def _in_one_pass(
    loops: Loops, groups: Float[Tensor, "groups k"], scales: Scales, numerics: Numerics
) -> Float[Tensor, "groups k"]:
    """The same by compiled loops."""
    out = torch.empty_like(groups)
    x, by, scale, rounded = map(array, (groups, scales.by[:, 0], scales.scale[:, 0], out))
    if (element := numerics.float_element) is not None:
        loops.to_floats(x, by, scales.multiply, *element_of(element), scale, rounded)
        return out
    zero = np.zeros_like(by) if scales.zero is None else array(scales.zero[:, 0])
    least, most = map(np.float32, numerics.levels)
    away = numerics.rounding == "away"
    loops.to_integers(x, by, scales.multiply, zero, least, most, away, scale, rounded)
    return out


@dataclass(frozen=True)
class Arithmetic:
    """The tensor's own type, and the rounding of each operation's result, both as float32."""

    given: torch.dtype
    rounded: Callable[[Tensor], Tensor]
    in_float32: bool


def arithmetic_of(x: Tensor, numerics: Numerics) -> Arithmetic:
    """Results are rounded to the tensor's type where the runtime works in it."""
    given = torch.float32 if x.dtype == torch.float64 else x.dtype
    if numerics.arithmetic == "float32" or given == torch.float32:
        return Arithmetic(given, lambda values: values, True)
    return Arithmetic(given, lambda values: values.to(given).float(), False)


def _integers(
    values: Float[Tensor, "groups k"],
    zero: Float[Tensor, "groups 1"] | None,
    numerics: Numerics,
) -> Float[Tensor, "groups k"]:
    """Integers less their zero point; never a negative zero, which integers have not."""
    least, most = numerics.levels
    if numerics.rounding == "away":
        levels = (values.abs() + 0.5).floor_().mul_(values.sign())
        # Where adding a half was itself rounded up.
        levels -= values.sign() * ((levels.abs() - values.abs()) > 0.5)
    else:
        levels = values.round()
    if zero is None:
        return levels.clamp_(least, most) + 0.0
    return levels.add_(zero).clamp_(least, most).sub_(zero) + 0.0


def scales_of(
    groups: Float[Tensor, "groups k"], numerics: Numerics, arithmetic: Arithmetic
) -> Scales:
    """The scales of groups."""
    if numerics.asymmetric:
        return _of_ranges(groups, numerics, arithmetic)
    if numerics.scale == "one":
        one = groups.new_ones(len(groups), 1)
        return Scales(one, False, one)
    amax = row_peaks(groups)[:, None]
    if numerics.scale in POWERS_OF_TWO:
        return _of_powers(amax, numerics)
    if numerics.scale == "two-level":
        return _of_two_levels(amax)
    return _of_largest(amax, numerics, arithmetic)


def _of_largest(
    amax: Float[Tensor, "groups 1"], numerics: Numerics, arithmetic: Arithmetic
) -> Scales:
    if numerics.order == "ratio":
        by = torch.where(amax == 0, 0.0, _quotient(numerics.divisor, amax))
        return Scales(by, True, amax / numerics.divisor)
    if numerics.order == "inverted-ratio":
        by = torch.where(amax == 0, 1.0, _quotient(numerics.divisor, amax))
        return Scales(by, True, 1 / by)
    scale = arithmetic.rounded(amax / numerics.divisor).clamp_(min=_floor(numerics, arithmetic))
    if numerics.stored == "e4m3":
        scale = round_to_float(scale, FLOATS["e4m3"])
    elif numerics.stored == "input":
        scale = scale.to(arithmetic.given).float()
    # Zero by one, where the runtime spares such groups.
    by = torch.where(scale == 0, 1.0, scale) if numerics.empty == "zero" else scale
    if numerics.order == "reciprocal":
        by = arithmetic.rounded(1 / by)
        # A scale so small that it has no inverse: nothing is left of the group.
        by = torch.where(by.isinf(), 0.0, by)
    if numerics.stored == "float16":
        # Values are rounded by the scale as it was worked out, and come back by the stored one.
        scale = scale.half().float()
    return Scales(by, numerics.order == "reciprocal", scale)


def _quotient(number: float, by: Float[Tensor, "groups 1"]) -> Float[Tensor, "groups 1"]:
    """Divided once: torch multiplies a number by the inverse, which rounds twice."""
    return torch.full_like(by, number) / by


def _floor(numerics: Numerics, arithmetic: Arithmetic) -> float:
    if isinstance(numerics.floor, str):
        return torch.finfo(arithmetic.given).smallest_normal
    return numerics.floor


def _of_powers(amax: Float[Tensor, "groups 1"], numerics: Numerics) -> Scales:
    """E8M0 scales: 2^-127 to 2^127."""
    element = FLOATS[numerics.element]
    if numerics.scale == "rceil":
        exponent = torch.log2(amax / element.most).ceil_().clamp_(-127, 127)
        # A group of zeros, or of values as small, is not divided by what float32 hardly holds.
        by = torch.where(exponent == -127, 1.0, power_of_two(-exponent))
        return Scales(by, True, power_of_two(exponent))
    if numerics.scale == "even":
        half = 1 << (23 - element.mantissa - 1)
        amax = (amax.view(torch.int32) + half).view(torch.float32)
    exponent = exponent_of(amax)
    if numerics.scale == "ceil":
        exponent += (amax.view(torch.int32) & 0x7FFFFF) > 0
    exponent = (exponent - element.largest_exponent).clamp_(-127, 127)
    # To multiply by the inverse of a power of two is to divide by it, to the last bit.
    return Scales(power_of_two(-exponent.clamp(min=-126)), True, power_of_two(exponent))


def _of_two_levels(amax: Float[Tensor, "groups 1"]) -> Scales:
    """A block's scale is e4m3 in units of one for the tensor, so that the largest block has 448."""
    whole = amax.amax() / (FLOATS["e4m3"].most * FLOATS["e2m1"].most)
    blocks = amax / FLOATS["e2m1"].most / whole
    small = round_to_float(blocks.clamp(min=_LEAST_NORMAL_E4M3), FLOATS["e4m3"])
    by = (1 / whole) / small
    # A tensor so small that its scale has no inverse: nothing is left of it.
    return Scales(torch.where(by.isinf(), 0.0, by), True, small * whole)


def _of_ranges(
    groups: Float[Tensor, "groups k"], numerics: Numerics, arithmetic: Arithmetic
) -> Scales:
    low, high = (end[:, None] for end in row_ends(groups))
    if numerics.scale == "minmax-zero":
        low, high = low.clamp(max=0), high.clamp(min=0)
    (least, most), exact = numerics.levels, arithmetic.rounded
    if numerics.order == "inverted-ratio":
        by = torch.where(high == low, 1.0, _quotient(float(most - least), high - low))
        zero = _from_the_better_end(low * by, high * by, least, most)
        return Scales(by, True, 1 / by, zero)
    scale = exact(exact(high - low) / (most - least)).clamp_(min=_floor(numerics, arithmetic))
    by = torch.where(scale == 0, 1.0, scale)
    if numerics.zero_point == "rounded-ratio":
        zero = least - torch.round(exact(low / by))
    else:
        zero = torch.round(exact(least - exact(low / by)))
    if numerics.zero_point != "unclamped":
        zero = zero.clamp_(least, most)
    if numerics.order == "reciprocal":
        return Scales(exact(1 / by), True, by, zero)
    return Scales(by, False, by, zero)


def _from_the_better_end(
    low: Float[Tensor, "groups 1"], high: Float[Tensor, "groups 1"], least: int, most: int
) -> Float[Tensor, "groups 1"]:
    """The zero point from the end of the range, in steps, that is the less in error."""
    from_low = (least + low) + (most + high) > 0
    return torch.where(from_low, least - low, most - high).clamp_(least, most).round_()
