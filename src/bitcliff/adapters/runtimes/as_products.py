"""Nodes of a quantized file as products by one matrix, whose sums can then be made to saturate.

What comes out is ONNX Runtime's to the bit, version 1.32, but for nodes that it fuses otherwise.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.errors import InputError

_TO_THE_END = 2**63 - 1

Weight = npt.NDArray[np.int8]
Constants = Mapping[str, Any]
"""Tensors of a file (`onnx.TensorProto`) by name."""


@dataclass(frozen=True)
class Parts:
    """A node as products by one matrix (MatMulInteger), with what comes before and after them.

    Attributes:
        products: each with its weights, (k, n).
    """

    products: list[tuple[Any, Weight]]
    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)


def named(node: Any) -> str:
    """A node as a message tells it."""
    return f"{node.op_type} {node.name or node.output[0]}"


def parts_of(onnx: Any, node: Any, weight: Weight, constants: Constants, place: int) -> Parts:
    """A node of `FORMS` as products.

    Args:
        weight: by which it multiplies. place: of the node in its graph, which makes names its own.

    Raises:
        InputError: it has an attribute, or inputs, that cannot be written so.
    """
    return FORMS[node.op_type](onnx, node, weight, constants, place)


def _of_integers(onnx: Any, node: Any, weight: Weight, constants: Constants, place: int) -> Parts:
    """One product as it is; of a stack of matrices (s, k, n), such as experts, one by each.

    Raises:
        InputError: the matrices have zero points of their own.
    """
    if weight.ndim == 2:
        return Parts([(node, weight)])
    values, _, *rest = node.input
    zero, weight_zero = _filled(rest, 2)[:2]
    if weight_zero in constants and math.prod(constants[weight_zero].dims) != 1:
        raise InputError(f"{named(node)} is not added pair by pair here, for its zero points")
    make, name = onnx.helper.make_node, f"stack_{place}_{{}}".format
    numbers: dict[str, Any] = {"sizes": np.array([len(weight), 1, 1])}
    before, products = [make("Expand", [values, name("sizes")], [name("all")])], []
    for at, matrix in enumerate(weight):
        numbers |= {f"at_{at}": np.array([at]), f"w_{at}": matrix}
        before.append(make("Gather", [name("all"), name(f"at_{at}")], [name(f"x_{at}")], axis=-3))
        inputs = [name(f"x_{at}"), name(f"w_{at}"), zero, weight_zero]
        products.append((make("MatMulInteger", inputs, [name(f"sums_{at}")]), matrix))
    made = [one.output[0] for one, _ in products]
    after = [make("Concat", made, list(node.output), axis=-3)]
    return Parts(products, [*_tensors(onnx, name, numbers), *before], after)


def _tensors(onnx: Any, name: Callable[[str], str], numbers: Mapping[str, Any]) -> list[Any]:
    return [
        onnx.helper.make_node(
            "Constant", [], [name(one)], value=onnx.numpy_helper.from_array(np.asarray(value))
        )
        for one, value in numbers.items()
    ]


def _of_matmul(onnx: Any, node: Any, weight: Weight, _: Constants, place: int) -> Parts:
    name = f"scaled_{place}_{{}}".format
    values, scale, zero, matrix, weight_scale, weight_zero, to_scale, to_zero = node.input
    sums = name("sums")
    product = _product(onnx, name, (values, matrix, zero, weight_zero))
    scales = (scale, weight_scale, to_scale, to_zero)
    return Parts([(product, weight)], after=_scaled(onnx, name, sums, scales, node.output[0]))


def _of_gemm(onnx: Any, node: Any, weight: Weight, _: Constants, place: int) -> Parts:
    make, name = onnx.helper.make_node, f"gemm_{place}_{{}}".format
    asked = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    if asked.get("transA") or asked.get("alpha", 1.0) != 1.0:
        raise InputError(
            f"{named(node)} is not added pair by pair here: it is transposed or scaled"
        )
    values, scale, zero, _, weight_scale, weight_zero, *rest = node.input
    bias, to_scale, to_zero = _filled(rest, 3)
    matrix = weight.T.copy() if asked.get("transB") else weight
    constant = make("Constant", [], [name("w")], value=onnx.numpy_helper.from_array(matrix))
    inputs = [values, name("w"), zero, weight_zero]
    product = make("MatMulInteger", inputs, [name("sums")])
    after = [make("Add", [name("sums"), bias], [name("moved")])] if bias else []
    sums = name("moved" if bias else "sums")
    if to_scale:
        scales = (scale, weight_scale, to_scale, to_zero)
        after += _scaled(onnx, name, sums, scales, node.output[0])
    else:
        after += _in_floats(onnx, name, sums, (scale, weight_scale), "", node.output[0])
    return Parts([(product, matrix)], [constant], after)


def _to_float(onnx: Any, node: Any, weight: Weight, _: Constants, place: int) -> Parts:
    name = f"to_float_{place}_{{}}".format
    values, matrix, scale, weight_scale, *rest = node.input
    zero, weight_zero, bias = _filled(rest, 3)
    product = _product(onnx, name, (values, matrix, zero, weight_zero))
    scales = (scale, weight_scale)
    after = _in_floats(onnx, name, name("sums"), scales, bias, node.output[0])
    return Parts([(product, weight)], after=after)


def _dynamic(onnx: Any, node: Any, weight: Weight, _: Constants, place: int) -> Parts:
    name = f"dynamic_{place}_{{}}".format
    values, matrix, weight_scale, *rest = node.input
    weight_zero, bias = _filled(rest, 2)
    made = [name(one) for one in ("values", "scale", "zero")]
    before = [onnx.helper.make_node("DynamicQuantizeLinear", [values], made)]
    product = _product(onnx, name, (made[0], matrix, made[2], weight_zero))
    scales = (made[1], weight_scale)
    after = _in_floats(onnx, name, name("sums"), scales, bias, node.output[0])
    return Parts([(product, weight)], before, after)


def _of_attention(onnx: Any, node: Any, weight: Weight, _: Constants, place: int) -> Parts:
    """Queries, keys and values, which its float counterpart then takes as they are: by ones."""
    make, name = onnx.helper.make_node, f"attention_{place}_{{}}".format
    values, matrix, bias, scale, weight_scale, *rest = node.input
    mask, zero, weight_zero, *past = _filled(rest, 3)
    product = _product(onnx, name, (values, matrix, zero, weight_zero))
    width = weight.shape[1]
    ones = onnx.numpy_helper.from_array(np.eye(width, dtype=np.float32))
    attention = make(
        "Attention",
        [name("all"), name("ones"), bias, mask, *past],
        list(node.output),
        domain=node.domain,
        qkv_hidden_sizes=[width // 3] * 3,
    )
    attention.attribute.extend(node.attribute)
    after = _in_floats(onnx, name, name("sums"), (scale, weight_scale), "", name("all"))
    before = [make("Constant", [], [name("ones")], value=ones)]
    return Parts([(product, weight)], before, [*after, attention])


def _product(onnx: Any, name: Callable[[str], str], inputs: Sequence[str]) -> Any:
    return onnx.helper.make_node("MatMulInteger", inputs, [name("sums")])


def _filled(names: Sequence[str], least: int) -> list[str]:
    """Names of inputs, those left out at the end as empty ones."""
    return [*names, *[""] * (least - len(names))]


def _in_floats(
    onnx: Any,
    name: Callable[[str], str],
    sums: str,
    scales: tuple[str, str],
    bias: str,
    output: str,
) -> list[Any]:
    """Floats of integer sums. `scales`: of the values and of the weights. `bias`: "" for none."""
    make = onnx.helper.make_node
    return [
        make("Mul", list(scales), [name("both")]),
        make("Cast", [sums], [name("wide")], to=onnx.TensorProto.FLOAT),
        make("Mul", [name("wide"), name("both")], [name("floats") if bias else output]),
        *([make("Add", [name("floats"), bias], [output])] if bias else []),
    ]


def _scaled(
    onnx: Any, name: Callable[[str], str], sums: str, scales: Sequence[str], output: str
) -> list[Any]:
    """8 bits of integer sums, in ONNX Runtime's order of operations.

    `scales`: of the values and of the weights, and scale and zero point of what comes out.
    """
    make = onnx.helper.make_node
    scale, weight_scale, to_scale, to_zero = scales
    return [
        make("Mul", [scale, weight_scale], [name("both")]),
        make("Div", [name("both"), to_scale], [name("by")]),
        make("Cast", [sums], [name("wide")], to=onnx.TensorProto.FLOAT),
        make("Mul", [name("wide"), name("by")], [name("scaled")]),
        make("Constant", [], [name("one")], value=onnx.numpy_helper.from_array(np.float32(1))),
        make("QuantizeLinear", [name("scaled"), name("one"), to_zero], [output]),
    ]


def _of_convolution(
    onnx: Any, node: Any, weight: Weight, constants: Constants, place: int
) -> Parts:
    """Of each group the product of its patches by the same weights as a matrix.

    Args:
        weight: (outputs, channels of a group, *kernel).

    Raises:
        InputError: it is padded in a way that hangs on the input's size, or has zero points that
            are not constant, or not zero for its weights.
    """
    make, name = onnx.helper.make_node, f"patches_{place}_{{}}".format
    asked = _asked(onnx, node, constants)
    values, scale, zero, _, weight_scale, _, to_scale, to_zero, *bias = node.input
    axes, groups = weight.ndim - 2, asked.get("group", 1)
    numbers, before = _last_channels(onnx, name, asked, values, constants[zero], axes)
    products = []
    for group, of in enumerate(np.split(weight, groups)):
        cuts, nodes = _patches(make, name, asked, of.shape, group)
        # Over the kernel's places first, and then over the channels of each.
        matrix = np.moveaxis(of, (0, 1), (-1, -2)).reshape(-1, len(of))
        numbers |= {**cuts, f"matrix_{group}": matrix}
        before += nodes
        inputs = [name(f"all_{group}"), name(f"matrix_{group}"), zero]
        products.append((make("MatMulInteger", inputs, [name(f"sums_{group}")]), matrix))
    after = [make("Concat", [one.output[0] for one, _ in products], [name("sums")], axis=-1)]
    if bias:
        after.append(make("Add", [name("sums"), bias[0]], [name("moved")]))
    scales = (scale, weight_scale, to_scale, to_zero)
    after += _scaled(onnx, name, name("moved" if bias else "sums"), scales, name("done"))
    order = [0, axes + 1, *range(1, axes + 1)]
    after.append(make("Transpose", [name("done")], list(node.output), perm=order))
    return Parts(products, [*_tensors(onnx, name, numbers), *before], after)


def _asked(onnx: Any, node: Any, constants: Constants) -> dict[str, Any]:
    """A convolution's attributes; an InputError where it cannot be written as products."""
    asked = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    zeros = [constants.get(node.input[place]) for place in (2, 5)]
    if asked.get("auto_pad", b"NOTSET") != b"NOTSET" or None in zeros:
        raise InputError(f"{named(node)} is not added pair by pair here, for its padding or zeros")
    if onnx.numpy_helper.to_array(zeros[1]).any():
        raise InputError(f"{named(node)} is not added pair by pair here: its weights have a zero")
    return asked


def _last_channels(
    onnx: Any,
    name: Callable[[str], str],
    asked: Mapping[str, Any],
    values: str,
    zero: Any,
    axes: int,
) -> tuple[dict[str, Any], list[Any]]:
    """The values padded, with their channels last: the numbers that takes, and the nodes."""
    make, pads = onnx.helper.make_node, asked.get("pads", [0] * 2 * axes)
    numbers = {
        "pads": np.array([0, 0, *pads[:axes], 0, 0, *pads[axes:]]),
        "filled": onnx.numpy_helper.to_array(zero).reshape(()),
        "axes": np.arange(1, axes + 2),
        "steps": np.array([*asked.get("strides", [1] * axes), 1]),
    }
    return numbers, [
        make("Pad", [values, name("pads"), name("filled")], [name("padded")]),
        make("Transpose", [name("padded")], [name("last")], perm=[0, *range(2, axes + 2), 1]),
    ]


def _patches(
    make: Callable[..., Any],
    name: Callable[[str], str],
    asked: Mapping[str, Any],
    shape: tuple[int, ...],
    group: int,
) -> tuple[dict[str, Any], list[Any]]:
    """Of a group's channels what each place of the kernel meets, side by side: the numbers that
    takes, and the nodes.

    `shape`: of the group's weights.
    """
    _, channels, *kernel = shape
    apart = asked.get("dilations", [1] * len(kernel))
    numbers, nodes, found = dict[str, Any](), [], []
    for number, at in enumerate(itertools.product(*map(range, kernel))):
        patch = f"{group}_{number}"
        first = [one * by for one, by in zip(at, apart, strict=True)]
        rest = [(size - 1 - one) * by for size, one, by in zip(kernel, at, apart, strict=True)]
        ends = [-one or _TO_THE_END for one in rest]
        numbers[f"from_{patch}"] = np.array([*first, group * channels])
        numbers[f"to_{patch}"] = np.array([*ends, (group + 1) * channels])
        cut = (f"from_{patch}", f"to_{patch}", "axes", "steps")
        nodes.append(make("Slice", [name("last"), *map(name, cut)], [name(patch)]))
        found.append(name(patch))
    nodes.append(make("Concat", found, [name(f"all_{group}")], axis=-1))
    return numbers, nodes


FORMS: Mapping[str, Callable[..., Parts]] = {
    "MatMulInteger": _of_integers,
    "MatMulIntegerToFloat": _to_float,
    "DynamicQuantizeMatMul": _dynamic,
    "QLinearMatMul": _of_matmul,
    "QGemm": _of_gemm,
    "QLinearConv": _of_convolution,
    "QAttention": _of_attention,
}
"""By operator, how it is written so."""
