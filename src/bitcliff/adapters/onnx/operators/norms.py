"""Operators that normalize."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from bitcliff.errors import InputError


def batch_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    outputs: int = 1,
) -> Tensor:
    """With the statistics of training."""
    if training_mode or outputs > 1:
        raise InputError("it takes its statistics from the batch; export the network in eval mode")
    return F.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


def layer_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    outputs: int = 1,
) -> Any:
    """Over all axes from `axis` on; perhaps with the mean and the inverse deviation."""
    shape = x.shape[axis % x.ndim :]
    if scale.shape == shape:
        normal = F.layer_norm(x, shape, scale, bias, epsilon)
    else:
        normal = F.layer_norm(x, shape, eps=epsilon) * scale
        normal = normal if bias is None else normal + bias
    if outputs == 1:
        return normal
    axes = tuple(range(axis % x.ndim, x.ndim))
    deviation = (x.var(axes, correction=0, keepdim=True) + epsilon).rsqrt()
    return (normal, x.mean(axes, keepdim=True), deviation)[:outputs]


def rms_norm(
    x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """Over all axes from `axis` on."""
    return F.rms_norm(x, x.shape[axis % x.ndim :], eps=epsilon) * scale


def group_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    opset: int,
) -> Tensor:
    """Up to opset 20 scale and bias are one number a group, later one a channel."""
    if opset < 21:
        each = x.shape[1] // num_groups
        scale, bias = scale.repeat_interleave(each), bias.repeat_interleave(each)
    return F.group_norm(x, num_groups, scale, bias, epsilon)


def instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Each channel of each example by itself."""
    return F.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def local_response_norm(
    x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Tensor:
    """Over neighbouring channels."""
    return F.local_response_norm(x, size, alpha, beta, bias)


def lp_norm(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """Zero stays zero."""
    length = torch.linalg.vector_norm(x, p, axis, keepdim=True)
    return torch.where(length == 0, 0.0, x / length)


NORMS: dict[str, Callable[..., Any]] = {
    "BatchNormalization": batch_norm,
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LRN": local_response_norm,
    "LayerNormalization": layer_norm,
    "LpNormalization": lp_norm,
    "RMSNormalization": rms_norm,
}
