"""Which calls hold quantization points, and where in their arguments: a table for each reading."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own name for it)
from torch import Tensor

Function = Callable[..., Any]


@dataclass(frozen=True)
class Operation:
    """A call to watch.

    Attributes:
        kind: its name in points and tables.
        roles: its tensor operands: role -> (position, keyword).
        channel_axes: for each operand that may be a weight, the output channels' dimension; None
            where the call does not show which one that is.
        of_output: the point is the result, not an operand.
    """

    kind: str
    roles: dict[str, tuple[int, str]]
    channel_axes: dict[str, int | None]
    of_output: bool = False


def _convolution(kind: str, channel_axis: int) -> Operation:
    return Operation(
        kind, {"input": (0, "input"), "weight": (1, "weight")}, {"weight": channel_axis}
    )


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


COMPUTE: dict[Function, Operation] = {
    torch.conv1d: _convolution("conv1d", 0),
    torch.conv2d: _convolution("conv2d", 0),
    torch.conv3d: _convolution("conv3d", 0),
    torch.convolution: _convolution("convolution", 0),
    torch.conv_transpose1d: _convolution("conv_transpose1d", 1),
    torch.conv_transpose2d: _convolution("conv_transpose2d", 1),
    torch.conv_transpose3d: _convolution("conv_transpose3d", 1),
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
