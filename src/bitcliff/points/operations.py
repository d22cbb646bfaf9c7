"""Which calls hold quantization points, and where in their arguments: a table for each reading."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own name for it)
from torch import Tensor

from bitcliff.points.plan import Where

Function = Callable[..., Any]


@dataclass(frozen=True)
class Operation:
    """A call to watch.

    Attributes:
        kind: its name in points and tables.
        roles: its tensor operands: role -> (position, keyword).
        channel_axes: for each operand that may be a weight, the output channels' dimension; None
            where the call does not show which one that is. Counted from the end, it is that of each
            matrix of a stack.
        groups: position and keyword of the groups that the weight's first dimension falls into,
            each with output channels of its own along the second.
        of_output: the point is the result, not an operand.
    """

    kind: str
    roles: dict[str, tuple[int, str]]
    channel_axes: dict[str, int | None]
    of_output: bool = False
    groups: tuple[int, str] | None = None


@dataclass(frozen=True)
class Channels:
    """Which values of a weight share a scale, where each output channel has one.

    Attributes:
        axes: the dimensions whose cells are the output channels; None: one scale for all.
        groups: how many the first dimension is split into before, as another one; 0: not split.
    """

    axes: tuple[int, ...] | None = None
    groups: int = 0


def weight_channels(
    operation: Operation, role: str, dimensions: int, args: Any, kwargs: Any
) -> Channels:
    """The output channels of a weight with so many dimensions in a call.

    Of a transposed convolution each (group, channel), of a stack of matrices each (matrix, column):
    no two outputs share a scale. So does torchao with stacks. ONNX Runtime's `quantize_dynamic`
    leaves transposed convolutions in float, and fails on a stack that is to be by channel.
    """
    axis = operation.channel_axes[role]
    if axis is None or dimensions < 2:
        return Channels()
    if operation.groups is not None:
        position, keyword = operation.groups
        groups = args[position] if position < len(args) else kwargs.get(keyword, 1)
        return Channels((0, axis + 1), groups)
    return Channels((axis,) if axis >= 0 else (*range(dimensions - 2), dimensions + axis))


_INPUT_AND_WEIGHT = {"input": (0, "input"), "weight": (1, "weight")}


def _convolution(kind: str) -> Operation:
    return Operation(kind, _INPUT_AND_WEIGHT, {"weight": 0})


def _transposed(kind: str, groups: int = 6) -> Operation:
    return Operation(kind, _INPUT_AND_WEIGHT, {"weight": 1}, groups=(groups, "groups"))


def _product(kind: str, first: int, names: tuple[str, str]) -> Operation:
    roles = {"lhs": (first, names[0]), "rhs": (first + 1, names[1])}
    return Operation(kind, roles, {"lhs": -2, "rhs": -1})


_MATMUL = _product("matmul", 0, ("input", "other"))
_MM = _product("matmul", 0, ("input", "mat2"))
_ADDMM = _product("matmul", 1, ("mat1", "mat2"))
_ADDBMM = _product("matmul", 1, ("batch1", "batch2"))
_MV = Operation("matmul", {"lhs": (0, "input"), "rhs": (1, "vec")}, {"lhs": -2, "rhs": None})
_ADDMV = Operation("matmul", {"lhs": (1, "mat"), "rhs": (2, "vec")}, {"lhs": -2, "rhs": None})


def _dot(keyword: str) -> Operation:
    return Operation("dot", {"lhs": (0, "input"), "rhs": (1, keyword)}, {"lhs": None, "rhs": None})


_CONVOLUTION = _convolution("convolution")
_TRANSPOSED = _transposed("conv_transpose", 8)

COMPUTE: dict[Function, Operation] = {
    torch.conv1d: _convolution("conv1d"),
    torch.conv2d: _convolution("conv2d"),
    torch.conv3d: _convolution("conv3d"),
    torch.convolution: _CONVOLUTION,
    torch.conv_transpose1d: _transposed("conv_transpose1d"),
    torch.conv_transpose2d: _transposed("conv_transpose2d"),
    torch.conv_transpose3d: _transposed("conv_transpose3d"),
    F.linear: Operation("linear", {"input": (0, "input"), "weight": (1, "weight")}, {"weight": 0}),
    F.bilinear: Operation(
        "bilinear",
        {"input1": (0, "input1"), "input2": (1, "input2"), "weight": (2, "weight")},
        {"weight": 0},
    ),
    **dict.fromkeys((torch.matmul, torch.linalg.matmul, Tensor.matmul, Tensor.__matmul__), _MATMUL),
    Tensor.__rmatmul__: Operation(
        "matmul", {"lhs": (1, "other"), "rhs": (0, "self")}, {"lhs": -2, "rhs": -1}
    ),
    **dict.fromkeys((torch.mm, Tensor.mm, torch.bmm, Tensor.bmm), _MM),
    **dict.fromkeys((torch.addmm, Tensor.addmm, Tensor.addmm_), _ADDMM),
    **dict.fromkeys((torch.addbmm, Tensor.addbmm, Tensor.addbmm_), _ADDBMM),
    **dict.fromkeys((torch.baddbmm, Tensor.baddbmm, Tensor.baddbmm_), _ADDBMM),
    **dict.fromkeys((torch.mv, Tensor.mv), _MV),
    **dict.fromkeys((torch.addmv, Tensor.addmv, Tensor.addmv_), _ADDMV),
    **dict.fromkeys((torch.dot, Tensor.dot), _dot("tensor")),
    **dict.fromkeys((torch.vdot, Tensor.vdot, torch.inner, Tensor.inner), _dot("other")),
    torch.functional.einsum: Operation(
        "einsum", {"lhs": (1, "lhs"), "rhs": (2, "rhs")}, {"lhs": None, "rhs": None}
    ),
    torch.functional.tensordot: Operation(
        "tensordot", {"lhs": (0, "a"), "rhs": (1, "b")}, {"lhs": None, "rhs": None}
    ),
    F.scaled_dot_product_attention: Operation(
        "attention",
        {"query": (0, "query"), "key": (1, "key"), "value": (2, "value")},
        {"query": None, "key": None, "value": None},
    ),
}


def as_called(operation: Operation, args: Any, kwargs: Any) -> Operation:
    """The same, unless the call's arguments make it another: `torch.convolution` has both kinds."""
    transposed = args[6] if len(args) > 6 else kwargs.get("transposed", False)
    return _TRANSPOSED if operation is _CONVOLUTION and transposed else operation


ATTENTION = F.scaled_dot_product_attention

_ACTIVATIONS: dict[str, tuple[Function, ...]] = {
    "relu": (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_),
    "relu6": (F.relu6,),
    "hardtanh": (F.hardtanh, F.hardtanh_),
    "gelu": (F.gelu,),
    "silu": (F.silu,),
    "mish": (F.mish,),
    "hardswish": (F.hardswish,),
    "hardsigmoid": (F.hardsigmoid,),
    "leaky_relu": (F.leaky_relu, F.leaky_relu_),
    "elu": (F.elu, F.elu_),
    "selu": (F.selu, torch.selu, torch.selu_),
    "celu": (F.celu, torch.celu, torch.celu_),
    "prelu": (F.prelu, torch.prelu, Tensor.prelu),
    "rrelu": (F.rrelu, torch.rrelu),
    "softplus": (F.softplus,),
    "softsign": (F.softsign,),
    "logsigmoid": (F.logsigmoid,),
    "threshold": (F.threshold, torch.threshold, torch.threshold_),
    "hardshrink": (F.hardshrink, torch.hardshrink, Tensor.hardshrink),
    "softshrink": (F.softshrink,),
    "tanhshrink": (F.tanhshrink,),
    "glu": (F.glu,),
    "tanh": (F.tanh, torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_),
    "sigmoid": (F.sigmoid, torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_),
}

ACTIVATIONS: dict[Function, Operation] = {
    function: Operation(kind, {}, {}, of_output=True)
    for kind, functions in _ACTIVATIONS.items()
    for function in functions
}


def watched(where: Where) -> dict[Function, Operation]:
    """The calls to watch, by where the points are."""
    return COMPUTE if where == "inputs" else {**COMPUTE, **ACTIVATIONS}
