"""Fake-quantization of weights: symmetric, abs-max (paper section 4, quantization settings)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.scheme import MAX_BITS, MIN_BITS


def fake_quantize_weight(
    w: Float[Tensor, "*shape"], bits: int = 16, channel_axis: int | Sequence[int] | None = None
) -> Float[Tensor, "*shape"]:
    """Round a weight to `bits` bits and back.

    s = max|w| / (2^(bits-1) - 1), q = round(w / s) in [-(2^(bits-1) - 1), 2^(bits-1) - 1].

    Args:
        w: the weight; worked in float32 or wider.
        bits: 2 to 16.
        channel_axis: the output channels' dimension for one scale a channel, or several for one
            scale a cell of theirs, such as a matrix and a column; None for one scale.

    Returns:
        A tensor like `w`; all-zero tensors or channels pass unchanged; the gradient is the
        identity.

    Raises:
        InputError: `bits` or `channel_axis` out of range.
    """
    if not MIN_BITS <= bits <= MAX_BITS:
        raise InputError(f"weight bits must lie in {MIN_BITS}..{MAX_BITS}, not {bits}")
    axes = [channel_axis] if isinstance(channel_axis, int) else channel_axis
    for axis in axes or ():
        if not -w.ndim <= axis < w.ndim:
            raise InputError(f"channel_axis {axis} does not exist in a weight {tuple(w.shape)}")
    if w.numel() == 0:
        return w
    rounded = _round_symmetric(w.detach(), bits, axes)
    # Exact forward: w + (q - w) would round once more.
    return (
        rounded
        if not (torch.is_grad_enabled() and w.requires_grad)
        else _Identity.apply(w, rounded)
    )


def _round_symmetric(
    w: Float[Tensor, "*shape"], bits: int, axes: Sequence[int] | None
) -> Float[Tensor, "*shape"]:
    wide = w if w.dtype in (torch.float32, torch.float64) else w.float()
    levels = 2.0 ** (bits - 1) - 1
    if axes is None:
        peak = wide.abs().amax()
    else:
        others = sorted(set(range(w.ndim)) - {axis % w.ndim for axis in axes})
        peak = wide.abs().amax(others, keepdim=True) if others else wide.abs()
    scale = peak / levels
    integers = torch.round(wide / scale).clamp_(-levels, levels)
    # Where there is no scale it passes as it is: all zero, too small for this type, not finite.
    return torch.where((scale > 0) & torch.isfinite(scale), integers * scale, wide).to(w.dtype)


class _Identity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, w: Tensor, rounded: Tensor) -> Tensor:
        return rounded

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None
