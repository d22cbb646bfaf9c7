"""A quantized file in which pairs of products saturate, as on a processor without VNNI.

What saturation takes from each exact sum is added to it, pair by pair, by operators of the file
format; the pairs are those of ONNX Runtime 1.32 on a processor with AVX2 alone.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.adapters.onnx.baseline import constants_of
from bitcliff.adapters.optional import require
from bitcliff.adapters.runtimes.as_products import FORMS, Constants, Weight, named, parts_of
from bitcliff.adapters.runtimes.lstm_steps import LSTM, lstm_steps
from bitcliff.adapters.wording import listed, shortened
from bitcliff.errors import InputError

_LOW, _HIGH, _LARGEST = -(2**15), 2**15 - 1, 255
_NAMED = 12


def saturating_file(model: Any, found: Sequence[tuple[Any, Weight]]) -> bytes:
    """The file with what saturation takes from each exact sum added to it, pair by pair.

    Args:
        found: its nodes in which products may saturate, each with its weight.

    Raises:
        InputError: that cannot be done: of another operator than `FORMS` and LSTM, which are
            named; weights in several matrices or in another file.
    """
    onnx = require("onnx", "onnx", "the sums of a processor without VNNI")
    if any(tensor.external_data for tensor in model.graph.initializer):
        raise InputError("only files that hold their own weights are added pair by pair here")
    others = [named(node) for node, weight in found if not _can_be_added(node, weight)]
    if others:
        raise InputError(
            "only products by a matrix, LSTM and convolutions are added pair by pair here, and "
            f"not {shortened(listed(others, _NAMED))}"
        )
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
    if node.op_type in (LSTM, "QLinearConv"):
        return node.op_type == LSTM or not node.domain
    stack = weight.ndim == 3 and node.op_type == "MatMulInteger"
    return stack or (weight.ndim == 2 and node.op_type in FORMS)


def _in_pairs(onnx: Any, node: Any, weight: Weight, constants: Constants, place: int) -> list[Any]:
    """A node's products with saturating sums; the node itself where no two of them overflow."""

    def added(product: Any, matrix: Weight, known: Constants, number: int | str) -> list[Any]:
        pairs = _pairs(matrix)
        if pairs is None:
            return [product]
        tables = {**pairs, **_unsigned(onnx, product, matrix, known)}
        return _added(onnx, product, tables, f"{place}_{number}")

    if node.op_type == LSTM:
        return lstm_steps(onnx, node, constants, place, added)
    parts = parts_of(onnx, node, weight, constants, place)
    products = (added(*each, constants, number) for number, each in enumerate(parts.products))
    return [*parts.before, *itertools.chain.from_iterable(products), *parts.after]


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
