"""A node of an ONNX graph as a module: one of PyTorch's layers where it has weights, or a call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitcliff.adapters.onnx.operators.recurrent import GATES, Recurrent, parts_of
from bitcliff.adapters.onnx.operators.sizes import Sizes

_CONV: dict[int, Callable[..., nn.Module]] = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
_CONV_TRANSPOSE: dict[int, Callable[..., nn.Module]] = {
    3: nn.ConvTranspose1d,
    4: nn.ConvTranspose2d,
    5: nn.ConvTranspose3d,
}

Attributes = Mapping[str, Any]
Constants = Sequence[Tensor | None]
"""A node's inputs after the first; None for one that is left out."""


class Call(nn.Module):
    """A node as a plain function of all its inputs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor | Sizes | None) -> Any:
        """The function's result or results."""
        return self.function(*inputs)


class BatchNorm(_BatchNorm):
    """BatchNorm over channels, for images and vectors alike."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions."""


def as_layer(operator: str, weights: Constants, attributes: Attributes) -> nn.Module | None:
    """PyTorch's layer that does what a node does with constant weights, if there is one."""
    builder = _BUILDERS.get(operator)
    return None if builder is None else builder(weights, attributes)


def _convolution(weights: Constants, attributes: Attributes) -> nn.Module | None:
    return _windowed(_CONV, weights, attributes, transposed=False)


def _transposed(weights: Constants, attributes: Attributes) -> nn.Module | None:
    if attributes.get("output_shape") or any(attributes.get("output_padding", ())):
        return None
    return _windowed(_CONV_TRANSPOSE, weights, attributes, transposed=True)


def _windowed(
    kinds: Mapping[int, Callable[..., nn.Module]],
    weights: Constants,
    attributes: Attributes,
    transposed: bool,
) -> nn.Module | None:
    weight, bias = (*weights, None)[:2]
    axes = 0 if weight is None else weight.ndim - 2
    pads = list(attributes.get("pads", ())) or [0] * (2 * axes)
    uneven = pads[:axes] != pads[axes:] or min(pads, default=0) < 0
    kind = None if weight is None else kinds.get(weight.ndim)
    if weight is None or kind is None or uneven or attributes.get("auto_pad", "NOTSET") != "NOTSET":
        return None
    groups = attributes.get("group", 1)
    one, other = weight.shape[0], weight.shape[1] * groups
    layer = kind(
        *((one, other) if transposed else (other, one)),
        tuple(weight.shape[2:]),
        stride=attributes.get("strides", 1),
        padding=tuple(pads[:axes]),
        dilation=attributes.get("dilations", 1),
        groups=groups,
        bias=bias is not None,
        device="meta",
    )
    return _with_weights(layer, weight, bias)


def _linear(weights: Constants, attributes: Attributes) -> nn.Module | None:
    """Gemm, and MatMul with a constant on the right."""
    weight, bias = (*weights, None)[:2]
    scaled = attributes.get("alpha", 1) != 1 or attributes.get("beta", 1) != 1
    if weight is None or weight.ndim != 2 or scaled or attributes.get("transA", 0):
        return None
    weight = weight if attributes.get("transB", 0) else weight.t()
    if bias is not None:
        if bias.numel() != len(weight) or (bias.ndim == 2 and len(bias) > 1):
            return None
        bias = bias.flatten()
    return _plain_linear(weight, bias)


def _batch_norm(weights: Constants, attributes: Attributes) -> nn.Module | None:
    weight, bias, mean, variance = weights
    if (
        weight is None
        or bias is None
        or mean is None
        or variance is None
        or attributes.get("training_mode")
    ):
        return None
    layer = BatchNorm(len(weight), eps=attributes.get("epsilon", 1e-5), device="meta")
    layer.running_mean, layer.running_var = mean, variance
    layer.num_batches_tracked = torch.tensor(0)
    return _with_weights(layer, weight, bias)


def as_recurrent(operator: str, weights: Constants, attributes: Attributes) -> nn.Module | None:
    """The layers of an LSTM, GRU or RNN; the module takes the node's inputs without its weights.

    Args:
        weights: the node's inputs after the first, of which it takes the first three.
    """
    w, r, b = (*weights, None, None, None)[:3]
    if operator not in GATES or w is None or r is None:
        return None
    layers = [
        {name: _plain_linear(weight, bias) for name, (weight, bias) in parts.items()}
        for parts in parts_of(operator, w, r, b, attributes)
    ]
    return Recurrent(operator, layers, r.shape[2], attributes).eval()


def _plain_linear(weight: Tensor, bias: Tensor | None) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    return _with_weights(layer, weight, bias)


def _with_weights(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    # The tensors themselves, not copies: nodes may share them.
    layer.register_parameter("weight", nn.Parameter(weight, requires_grad=False))
    if bias is not None:
        layer.register_parameter("bias", nn.Parameter(bias, requires_grad=False))
    return layer.eval()


_BUILDERS: Mapping[str, Callable[[Constants, Attributes], nn.Module | None]] = {
    "BatchNormalization": _batch_norm,
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "Gemm": _linear,
    "MatMul": _linear,
}
