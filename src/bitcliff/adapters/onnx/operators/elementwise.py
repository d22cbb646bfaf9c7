"""Operators that work value by value: arithmetic, comparisons and activations."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from bitcliff.adapters.onnx.operators.sizes import number
from bitcliff.adapters.onnx.tensors import torch_type
from bitcliff.errors import InputError

_Number = float | int


def divide(x: Tensor, y: Tensor) -> Tensor:
    """Whole numbers are rounded towards zero."""
    return torch.div(x, y, rounding_mode=None if x.is_floating_point() else "trunc")


def modulo(x: Tensor, y: Tensor, *, fmod: int = 0) -> Tensor:
    """With the sign of y, or of x if `fmod`."""
    return torch.fmod(x, y) if fmod else torch.remainder(x, y)


def power(x: Tensor, y: Tensor) -> Tensor:
    """Of x's type."""
    return torch.pow(x, y).to(x.dtype)


def cast(x: Tensor, *, to: int, saturate: int = 1, round_mode: str = "up") -> Tensor:
    """The last two speak of types that are not supported."""
    return x.to(torch_type(to))


def cast_like(x: Tensor, like: Tensor, *, saturate: int = 1, round_mode: str = "up") -> Tensor:
    """To the other's type."""
    return x.to(like.dtype)


def clip(
    x: Tensor,
    low: Tensor | None = None,
    high: Tensor | None = None,
    *,
    min: float | None = None,
    max: float | None = None,
) -> Tensor:
    """By PyTorch's own bounded activation where it is one, so that it is known as such."""
    least = min if low is None else number(low)
    most = max if high is None else number(high)
    if least is None and most is None:
        return x
    if least is not None and most is not None and x.is_floating_point() and least < most:
        return F.hardtanh(x, least, most)
    return torch.clamp(x, least, most)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """One slope for all, for each channel, or any shape that broadcasts."""
    of_channels = x.ndim > 1 and slope.shape == (x.shape[1], *[1] * (x.ndim - 2))
    if slope.numel() == 1 or of_channels:
        return F.prelu(x, slope.flatten())
    return torch.where(x < 0, slope * x, x)


def selu(x: Tensor, *, alpha: float = 1.6732632, gamma: float = 1.0507010) -> Tensor:
    """PyTorch's knows one alpha and gamma only, as nearly all files have them."""
    if abs(alpha - 1.6732632) < 1e-5 and abs(gamma - 1.0507010) < 1e-5:
        return F.selu(x)
    return gamma * F.elu(x, alpha)


def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """PyTorch's knows one slope only."""
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return F.hardsigmoid(x)
    return F.hardtanh(alpha * x + beta, 0.0, 1.0)


def softmax(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Up to opset 12 over all axes from the given one on, later over that axis alone."""

    def run(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
        if opset >= 13:
            return function(x, dim=-1 if axis is None else axis)
        first = (1 if axis is None else axis) % max(x.ndim, 1)
        return function(x.flatten(first), dim=-1).reshape(x.shape)

    return run


def shrink(x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """Values within lambd of zero become zero, the others come nearer by bias."""
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, 0)).to(x.dtype)


def dropout(
    x: Tensor,
    ratio: Tensor | float | None = None,
    training: Tensor | None = None,
    *,
    outputs: int,
    seed: int = 0,
    **_old: Any,
) -> Any:
    """Inference: nothing is dropped."""
    if training is not None and bool(training):
        raise InputError("it drops values at random; export the network in eval mode")
    return (x, torch.ones_like(x, dtype=torch.bool)) if outputs == 2 else x


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda *inputs: reduce(function, inputs)


def _mean(*inputs: Tensor) -> Tensor:
    return reduce(torch.add, inputs) / len(inputs)


def _is_infinite(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    return torch.isinf(x) & ((x < 0) & bool(detect_negative) | (x > 0) & bool(detect_positive))


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Add": torch.add,
    "And": torch.logical_and,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "BitwiseAnd": torch.bitwise_and,
    "BitwiseNot": torch.bitwise_not,
    "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor,
    "Cast": cast,
    "CastLike": cast_like,
    "Ceil": torch.ceil,
    "Celu": lambda x, *, alpha=1.0: F.celu(x, alpha),
    "Clip": clip,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Div": divide,
    "Dropout": dropout,
    "Elu": lambda x, *, alpha=1.0: F.elu(x, alpha),
    "Equal": torch.eq,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Gelu": lambda x, *, approximate="none": F.gelu(x, approximate=approximate),
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": F.hardswish,
    "Identity": lambda x: x,
    "IsInf": _is_infinite,
    "IsNaN": torch.isnan,
    "LeakyRelu": lambda x, *, alpha=0.01: F.leaky_relu(x, alpha),
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Log": torch.log,
    "LogSoftmax": softmax(F.log_softmax),
    "Max": _folded(torch.maximum),
    "Mean": _mean,
    "Min": _folded(torch.minimum),
    "Mish": F.mish,
    "Mod": modulo,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Or": torch.logical_or,
    "PRelu": prelu,
    "Pow": power,
    "Reciprocal": torch.reciprocal,
    "Relu": F.relu,
    "Round": torch.round,
    "Selu": selu,
    "Shrink": shrink,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Softmax": softmax(F.softmax),
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
    "Sub": torch.sub,
    "Sum": _folded(torch.add),
    "Swish": lambda x, *, alpha=1.0: F.silu(x) if alpha == 1 else x * torch.sigmoid(alpha * x),
    "Tan": torch.tan,
    "Tanh": torch.tanh,
    "ThresholdedRelu": lambda x, *, alpha=1.0: F.threshold(x, alpha, 0.0),
    "Where": torch.where,
    "Xor": torch.logical_xor,
}
