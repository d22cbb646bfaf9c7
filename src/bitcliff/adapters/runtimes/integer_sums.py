"""How processors add the products of a quantized file: exactly, or in pairs that saturate.

ONNX Runtime on an x86 processor without VNNI multiplies values without a sign by 8-bit weights with
one by an instruction (vpmaddubsw) that adds the products 2k and 2k + 1 of the summed axis and stops
at the ends of 16 bits; zero points are taken off afterwards. Where both are unsigned, and on every
other processor, its sums are exact.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bitcliff.adapters.onnx.baseline import all_nodes, constants_of
from bitcliff.adapters.onnx.tensors import read_tensor
from bitcliff.adapters.optional import require
from bitcliff.adapters.runtimes.as_products import Weight
from bitcliff.adapters.runtimes.saturating_graph import saturating_file
from bitcliff.adapters.runtimes.session import open_session, run_session
from bitcliff.adapters.wording import one_line
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
_ZERO_POINT = {"MatMulInteger": 2, "MatMulIntegerToFloat": 4, "QAttention": 6} | dict.fromkeys(
    ("QLinearMatMul", "QLinearConv", "QGemm"), 2
)
# ONNX Runtime fuses these with what takes both their inputs off their scale, for values of any sign
# as if they had none.
_FUSED = ("MatMul", "Gemm", "Conv")
# Two products of 255 by 64 still fit into 16 bits.
_SAFE = 64

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
    simulated = _Simulated(model, found, source)
    if any(node.op_type in _FUSED for node, _ in found) and not _lie_elsewhere(model):
        with suppress(InputError):  # else the nodes that are not simulated are named as they are
            simulated = _fused(onnxruntime, source)
    if not simulated.found:
        return None

    def saturating(optimized: bool = True) -> Run:
        file = saturating_file(simulated.model, simulated.found)
        return _opened(onnxruntime, file, output, optimized=optimized)

    return IntegerSums(
        lambda: _opened(onnxruntime, _exact(model, found, source), output, exact_sums=True),
        saturating,
        lambda: (
            _opened(onnxruntime, simulated.source, output, optimized=False),
            saturating(optimized=False),
        ),
    )


@dataclass(frozen=True)
class _Simulated:
    """The file in which sums are made to saturate, and its nodes where they may."""

    model: Any
    found: _Saturating
    source: Path | bytes


def _fused(onnxruntime: Any, source: Path | bytes) -> _Simulated:
    """What ONNX Runtime makes of a file whose products are fused with what scales their inputs.

    Raises:
        InputError: it cannot be written.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "fused.onnx"
        try:
            open_session(onnxruntime, source, write_to=file)
        except Exception as error:
            raise InputError(f"ONNX Runtime cannot write it fused ({one_line(error)})") from error
        data = file.read_bytes()
    model = require("onnx", "onnx", "integer sums").load_model_from_string(data)
    # What was not fused is computed in float.
    found = [one for one in saturating_nodes(model, Path("ONNX")) if one[0].op_type not in _FUSED]
    return _Simulated(model, found, data)


def _opened(
    onnxruntime: Any,
    file: Path | bytes,
    output: str | None,
    optimized: bool = True,
    exact_sums: bool = False,
) -> Run:
    try:
        return run_session(open_session(onnxruntime, file, optimized, exact_sums), output)
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
        return [name for name in scaled[1:] if not _is_depthwise(node, constants.get(name))]
    zero = node.input[_ZERO_POINT.get(node.op_type, len(node.input)) :][:1]
    if any(name in constants and constants[name].data_type == _INT8 for name in zero):
        return []
    found = [node.input[place] for place in _PAIRWISE.get(node.op_type, ())]
    return [name for name in found if not _is_depthwise(node, constants.get(name))]


def _is_depthwise(node: Any, weight: Any) -> bool:
    """A convolution of each channel by itself, whose kernel adds exactly (version 1.32)."""
    groups = next((one.i for one in node.attribute if one.name == "group"), 1)
    convolves = node.op_type in ("Conv", "QLinearConv") and weight is not None
    return convolves and weight.dims[1] == 1 and weight.dims[0] == groups > 1
