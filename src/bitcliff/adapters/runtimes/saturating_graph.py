"""A quantized file in which pairs of products saturate, as on a processor without VNNI.

What saturation takes from each exact sum is added to it, pair by pair, by operators of the file
format; the pairs are those of ONNX Runtime 1.32 on a processor with AVX2 alone.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.adapters.onnx.baseline import constants_of
from bitcliff.adapters.optional import require
from bitcliff.adapters.wording import listed, shortened
from bitcliff.errors import InputError

_LOW, _HIGH, _LARGEST = -(2**15), 2**15 - 1, 255
_TO_THE_END = 2**63 - 1
_NAMED = 12

Weight = npt.NDArray[np.int8]
Constants = Mapping[str, Any]


@dataclass(frozen=True)
class _Parts:
    """A node as products by one matrix (MatMulInteger), with what comes before and after them."""

    products: list[tuple[Any, Weight]]
    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)


def saturating_file(model: Any, found: Sequence[tuple[Any, Weight]]) -> bytes:
    """The file with what saturation takes from each exact sum added to it, pair by pair.

    Args:
        found: its nodes in which products may saturate, each with its weight.

    Raises:
        InputError: that cannot be done: of another operator than those below, which are named;
            weights in several matrices or in another file.
    """
    onnx = require("onnx", "onnx", "the sums of a processor without VNNI")
    others = [_named(node) for node, weight in found if not _can_be_added(node, weight)]
    if others:
        raise InputError(
            "only products by one matrix and convolutions (MatMulInteger, QLinearMatMul, "
            "QGemm, QLinearConv) are added pair by pair here, and not "
            + shortened(listed(others, _NAMED))
        )
    if any(tensor.external_data for tensor in model.graph.initializer):
        raise InputError("only files that hold their own weights are added pair by pair here")
    outputs = {node.output[0]: weight for node, weight in found}
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = list(copy.graph.node)
    if not outputs.keys() <= {node.output[0] for node in nodes}:
        raise InputError("products in branches or functions are not added pair by pair here")
    constants = constants_of(model, nodes)
    del copy.graph.node[:]
    for place, node in enumerate(nodes):
        weight = outputs.get(node.output[0])
        if weight is None:
            copy.graph.node.append(node)
        else:
            copy.graph.node.extend(_in_pairs(onnx, node, weight, constants, place))
    written: bytes = copy.SerializeToString()
    return written


def _can_be_added(node: Any, weight: Weight) -> bool:
    matrix = node.op_type in ("MatMulInteger", "QLinearMatMul", "QGemm") and weight.ndim == 2
    return matrix or (node.op_type == "QLinearConv" and not node.domain)


def _named(node: Any) -> str:
    return f"{node.op_type} {node.name or node.output[0]}"


def _in_pairs(onnx: Any, node: Any, weight: Weight, constants: Constants, place: int) -> list[Any]:
    """A node's products with saturating sums; the node itself where no two of them overflow."""
    match node.op_type:
        case "QLinearMatMul":
            parts = _of_matmul(onnx, node, weight, place)
        case "QGemm":
            parts = _of_gemm(onnx, node, weight, place)
        case "QLinearConv":
            parts = _of_convolution(onnx, node, weight, constants, place)
        case _:
            parts = _Parts([(node, weight)])
    added = []
    for number, (product, matrix) in enumerate(parts.products):
        pairs = _pairs(matrix)
        if pairs is None:
            added.append(product)
        else:
            tables = {**pairs, **_unsigned(onnx, product, matrix, constants)}
            added += _added(onnx, product, tables, f"{place}_{number}")
    return [*parts.before, *added, *parts.after]


def _of_matmul(onnx: Any, node: Any, weight: Weight, place: int) -> _Parts:
    name = f"scaled_{place}_{{}}".format
    values, scale, zero, matrix, weight_scale, weight_zero, to_scale, to_zero = node.input
    sums = name("sums")
    product = onnx.helper.make_node("MatMulInteger", [values, matrix, zero, weight_zero], [sums])
    scales = (scale, weight_scale, to_scale, to_zero)
    return _Parts([(product, weight)], after=_scaled(onnx, name, sums, scales, node.output[0]))


def _of_gemm(onnx: Any, node: Any, weight: Weight, place: int) -> _Parts:
    make, name = onnx.helper.make_node, f"gemm_{place}_{{}}".format
    asked = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    if asked.get("transA") or asked.get("alpha", 1.0) != 1.0 or len(node.input) < 9:
        raise InputError(
            f"{_named(node)} is not added pair by pair here: it is transposed, scaled or gives "
            "floats"
        )
    values, scale, zero, _, weight_scale, weight_zero, bias, to_scale, to_zero = node.input
    matrix = weight.T.copy() if asked.get("transB") else weight
    constant = make("Constant", [], [name("w")], value=onnx.numpy_helper.from_array(matrix))
    inputs = [values, name("w"), zero, weight_zero]
    product = make("MatMulInteger", inputs, [name("sums")])
    after = [make("Add", [name("sums"), bias], [name("moved")])] if bias else []
    sums, scales = name("moved" if bias else "sums"), (scale, weight_scale, to_scale, to_zero)
    after += _scaled(onnx, name, sums, scales, node.output[0])
    return _Parts([(product, matrix)], [constant], after)


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
) -> _Parts:
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
    tensors = (
        make("Constant", [], [name(one)], value=onnx.numpy_helper.from_array(np.asarray(value)))
        for one, value in numbers.items()
    )
    return _Parts(products, [*tensors, *before], after)


def _asked(onnx: Any, node: Any, constants: Constants) -> dict[str, Any]:
    """A convolution's attributes; an InputError where it cannot be written as products."""
    asked = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    zeros = [constants.get(node.input[place]) for place in (2, 5)]
    if asked.get("auto_pad", b"NOTSET") != b"NOTSET" or None in zeros:
        raise InputError(f"{_named(node)} is not added pair by pair here, for its padding or zeros")
    if onnx.numpy_helper.to_array(zeros[1]).any():
        raise InputError(f"{_named(node)} is not added pair by pair here: its weights have a zero")
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


def _unsigned(
    onnx: Any, node: Any, weight: Weight, constants: Mapping[str, Any]
) -> dict[str, npt.NDArray[Any]]:
    """The same weights without a sign, whose sums are exact everywhere, and their zero point."""
    name = node.input[3] if len(node.input) > 3 else ""
    if name and name not in constants:
        raise InputError("only weights with a constant zero point are added pair by pair here")
    zero = onnx.numpy_helper.to_array(constants[name]) if name else np.int8(0)
    return {
        key: np.asarray((value.astype(np.int16) + 128).astype(np.uint8))
        for key, value in (("unsigned", weight), ("zero", zero))
    }


def _pairs(weight: Weight) -> dict[str, npt.NDArray[Any]] | None:
    """Of each column, the pairs of rows that can overflow; None: there are none.

    Args:
        weight: (k, n). Where k is odd the last row has no partner, and cannot.

    Returns:
        `first`, `second`: (r, n) rows; `by_first`, `by_second`: (r, n) their weights, zero where a
        column has fewer than r.
    """
    whole = len(weight) - len(weight) % 2
    first, second = (weight[start:whole:2].astype(np.int32) for start in (0, 1))
    most = _LARGEST * (first.clip(min=0) + second.clip(min=0))
    least = _LARGEST * (first.clip(max=0) + second.clip(max=0))
    overflows = (most > _HIGH) | (least < _LOW)
    count = int(overflows.sum(0).max(initial=0))
    if not count:
        return None
    order = np.argsort(~overflows, axis=0, kind="stable")[:count]
    counts = np.take_along_axis(overflows, order, 0)
    by = [np.take_along_axis(half, order, 0) * counts for half in (first, second)]
    return {
        "first": 2 * order,
        "second": 2 * order + 1,
        "by_first": by[0].astype(np.float32),
        "by_second": by[1].astype(np.float32),
    }


def _added(onnx: Any, node: Any, tables: Mapping[str, npt.NDArray[Any]], place: str) -> list[Any]:
    """The product, exact, and what follows it: one pair of each column after the other."""
    make, name = onnx.helper.make_node, f"saturating_{place}_{{}}".format
    number, last = np.int64(len(tables["first"])), node.output[0]
    values, _, *zero = node.input
    exactly = [values, name("unsigned"), *(zero[:1] or [""]), name("zero")]
    ends = {"low": np.float32(_LOW), "high": np.float32(_HIGH), "n": number}
    every: dict[str, Any] = {**tables, **ends}
    numbers = {one: onnx.numpy_helper.from_array(np.asarray(v)) for one, v in every.items()}
    return [
        *(make("Constant", [], [name(one)], value=tensor) for one, tensor in numbers.items()),
        make("Cast", [values], [name("values")], to=onnx.TensorProto.FLOAT),
        make("MatMulInteger", exactly, [name("exact")]),
        make("Loop", [name("n"), "", name("exact")], [last], body=_one_pair(onnx, name)),
    ]


def _one_pair(onnx: Any, name: Callable[[str], str]) -> Any:
    """What saturation takes from one pair of each column, added to the sums.

    Sums of two products are below 2^17, where float32 is exact.
    """
    make, types = onnx.helper, onnx.TensorProto

    def step(kind: str, *names: str, **attributes: Any) -> Any:
        *inputs, output = map(name, names)
        return make.make_node(kind, inputs, [output], **attributes)

    def value(one: str, kind: int, shape: list[int] | None) -> Any:
        return make.make_tensor_value_info(name(one), kind, shape)

    steps = [
        step("Gather", "first", "pair", "row", axis=0),
        step("Gather", "second", "pair", "next_row", axis=0),
        step("Gather", "by_first", "pair", "weight", axis=0),
        step("Gather", "by_second", "pair", "next_weight", axis=0),
        step("Gather", "values", "row", "one", axis=-1),
        step("Gather", "values", "next_row", "other", axis=-1),
        step("Mul", "one", "weight", "product"),
        step("Mul", "other", "next_weight", "other_product"),
        step("Add", "product", "other_product", "sum"),
        step("Max", "sum", "low", "not_below"),
        step("Min", "not_below", "high", "saturated"),
        step("Sub", "saturated", "sum", "taken"),
        step("Cast", "taken", "whole", to=types.INT32),
        step("Add", "before", "whole", "after"),
        step("Identity", "on", "goes_on"),
    ]
    before = [
        value("pair", types.INT64, []),
        value("on", types.BOOL, []),
        value("before", types.INT32, None),
    ]
    after = [value("goes_on", types.BOOL, []), value("after", types.INT32, None)]
    return make.make_graph(steps, name("one_pair"), before, after)
