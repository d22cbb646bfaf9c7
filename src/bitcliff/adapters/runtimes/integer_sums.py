"""How processors add the products of a quantized file: exactly, or in pairs that saturate.

ONNX Runtime on an x86 processor without VNNI multiplies values without a sign by 8-bit weights with
one by an instruction (vpmaddubsw) that adds the products 2k and 2k + 1 of the summed axis and stops
at the ends of 16 bits; zero points are taken off afterwards. Where both are unsigned, and on every
other processor, its sums are exact.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.adapters.onnx.baseline import all_nodes, constants_of
from bitcliff.adapters.onnx.tensors import read_tensor
from bitcliff.adapters.optional import require
from bitcliff.adapters.runtimes.session import open_session, run_session
from bitcliff.adapters.wording import listed, one_line, shortened
from bitcliff.errors import InputError
from bitcliff.types.runtime import IntegerSums, Run

_INT8 = 3  # by ONNX's number of the type
# Integer products by which of their inputs are weights, in ONNX Runtime's kernels for signed ones.
# Its ConvInteger does not saturate: seen on a processor with AVX2 alone, version 1.32.
_PAIRWISE: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"), (1,)),
    "QAttention": (1,),
    "DynamicQuantizeLSTM": (1, 2),
    **dict.fromkeys(("QLinearMatMul", "QLinearConv", "QGemm"), (3,)),
}
# The place of the values' zero point, whose type is theirs: where it has a sign, nothing saturates.
_ZERO_POINT = {"MatMulInteger": 2, "MatMulIntegerToFloat": 4} | dict.fromkeys(
    ("QLinearMatMul", "QLinearConv", "QGemm"), 2
)
# ONNX Runtime fuses these with what takes both their inputs off their scale, for values of any sign
# as if they had none.
_FUSED = ("MatMul", "Gemm", "Conv")
# Two products of 255 by 64 still fit into 16 bits.
_SAFE = 64
_LOW, _HIGH, _LARGEST = -(2**15), 2**15 - 1, 255

Weight = npt.NDArray[np.int8]
_Saturating = Sequence[tuple[Any, Weight]]


def integer_sums(
    onnxruntime: Any, model: Any, source: Path | bytes, output: str | None = None
) -> IntegerSums | None:
    """The file run with either sums; None: no two of its products overflow, so that they are one.

    Args:
        model: the `onnx.ModelProto`. source: the same as a path or bytes. output: the one to give.

    Raises:
        InputError: a weight's data are not there.
    """
    path = source if isinstance(source, Path) else Path("ONNX")
    found = list(saturating_nodes(model, path))
    if not found:
        return None

    return IntegerSums(
        lambda: _opened(onnxruntime, _exact(model, found, source), output, exact_sums=True),
        lambda: _opened(onnxruntime, saturating_file(model, found), output),
        lambda: (
            _opened(onnxruntime, source, output, optimized=False),
            _opened(onnxruntime, saturating_file(model, found), output, optimized=False),
        ),
    )


def _opened(onnxruntime: Any, file: Path | bytes, output: str | None, **how: bool) -> Run:
    try:
        return run_session(open_session(onnxruntime, file, **how), output)
    except Exception as error:
        raise InputError(f"ONNX Runtime cannot run its sums so ({one_line(error)})") from error


def _exact(model: Any, found: _Saturating, source: Path | bytes) -> Path | bytes:
    if _lie_elsewhere(model):
        return source
    written: bytes = _with_own_weights(model, found).SerializeToString()
    return written


def _lie_elsewhere(model: Any) -> bool:
    """Weights lie in other files, which are found only from the file's own place."""
    return any(tensor.external_data for tensor in model.graph.initializer)


def _with_own_weights(model: Any, found: _Saturating) -> Any:
    """A copy in which no two products share a tensor: ONNX Runtime 1.32 refuses exact sums then."""
    copy = type(model)()
    copy.CopyFrom(model)
    tensors = {one.name: one for one in model.graph.initializer if one.data_type == _INT8}
    outputs = {node.output[0] for node, _ in found}
    seen = set[str]()
    for node in copy.graph.node:
        if node.output[0] not in outputs:
            continue
        for place, name in enumerate(node.input):
            if name in seen:
                own = copy.graph.initializer.add()
                own.CopyFrom(tensors[name])
                own.name = node.input[place] = f"{name}_of_{node.output[0]}_{place}"
            elif name in tensors:
                seen.add(name)
    return copy


def saturating_nodes(model: Any, path: Path) -> Iterator[tuple[Any, Weight]]:
    """Each node that multiplies values without a sign by weights of which any is beyond 64.

    Args:
        path: of the file, beside which weights may lie.

    Yields:
        The node and the first such weight of it.

    Raises:
        InputError: a weight's data are not there.
    """
    nodes = list(all_nodes(model))
    constants = constants_of(model, nodes)
    maker = {output: node for node in nodes for output in node.output}
    for node in nodes:
        for name in _multiplied(node, maker, constants):
            tensor = constants.get(name)
            if tensor is None or tensor.data_type != _INT8:
                continue
            weight = read_tensor(tensor, path)
            if bool((weight.short().abs() > _SAFE).any()):
                yield node, weight.numpy()
                break


def _multiplied(node: Any, maker: Mapping[str, Any], constants: Mapping[str, Any]) -> list[str]:
    """Of the names of a node's weights, those that values without a sign are multiplied by."""
    if node.op_type in _FUSED:
        makers = [maker[name] for name in node.input[:2] if name in maker]
        scaled = [one.input[0] for one in makers if one.op_type == "DequantizeLinear"]
        return scaled[1:]
    zero = node.input[_ZERO_POINT.get(node.op_type, len(node.input)) :][:1]
    if any(name in constants and constants[name].data_type == _INT8 for name in zero):
        return []
    return [node.input[place] for place in _PAIRWISE.get(node.op_type, ())]


def saturating_file(model: Any, found: _Saturating) -> bytes:
    """The file with what saturation takes from each exact sum added to it, pair by pair.

    Args:
        found: what `saturating_nodes` found in it.

    Raises:
        InputError: that cannot be done: another operator than MatMulInteger, weights in several
            matrices or in another file.
    """
    onnx = require("onnx", "onnx", "the sums of a processor without VNNI")
    kinds = sorted({node.op_type for node, weight in found if not _can_be_added(node, weight)})
    if kinds:
        raise InputError(
            "only products by one matrix (MatMulInteger) are added pair by pair here, and not "
            + shortened(listed(kinds))
        )
    if _lie_elsewhere(model):
        raise InputError("only files that hold their own weights are added pair by pair here")
    outputs = {node.output[0]: weight for node, weight in found}
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = list(copy.graph.node)
    if not outputs.keys() <= {node.output[0] for node in nodes}:
        raise InputError("products in branches or functions are not added pair by pair here")
    zeros = constants_of(model, nodes)
    del copy.graph.node[:]
    for place, node in enumerate(nodes):
        weight = outputs.get(node.output[0])
        pairs = None if weight is None else _pairs(weight)
        if weight is None or pairs is None:
            copy.graph.node.append(node)
        else:
            tables = {**pairs, **_unsigned(onnx, node, weight, zeros)}
            copy.graph.node.extend(_added(onnx, node, tables, place))
    written: bytes = copy.SerializeToString()
    return written


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


def _can_be_added(node: Any, weight: Weight) -> bool:
    return node.op_type == "MatMulInteger" and weight.ndim == 2


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


def _added(onnx: Any, node: Any, tables: Mapping[str, npt.NDArray[Any]], place: int) -> list[Any]:
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
