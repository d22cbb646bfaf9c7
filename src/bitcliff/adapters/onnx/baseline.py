"""Whether an ONNX file is a baseline: in float32 and in eval mode, and nothing else."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from bitcliff.adapters.wording import listed, shortened
from bitcliff.errors import InputError

# What runtimes and their converters add to ONNX's own names, all of which have "uantize" in them.
_QUANTIZED_STARTS = ("QLinear", "QGemm", "QAttention", "QEmbed", "QOrdered", "QMoE")
_QUANTIZED_ENDS = ("Integer", "IntegerToFloat", "NBits", "Bnb4", "FpQ4")
_NARROW = {10: "float16", 16: "bfloat16"}  # by ONNX's number of the type


def check_baseline(model: Any) -> None:
    """Refuse a file, an `onnx.ModelProto`, that would pass for float and is not.

    Raises:
        InputError: it is quantized already, in training mode, or its weights are float16.
    """
    if quantized := quantized_operators(model):
        raise InputError(
            f"already quantized: {counted(quantized)}; give the network in float, as it was "
            "before; beside that, --runtime file:FILE.onnx judges the quantized file"
        )
    nodes = list(all_nodes(model))
    constants = constants_of(model, nodes)
    for node in nodes:
        if reason := _of_training(node, constants):
            title = shortened(f"node {node.name or listed(node.output, 1)} ({node.op_type})")
            raise InputError(f"{title}: {reason}; export the network in eval mode")
    # One number may be a constant of the arithmetic; weights are many.
    kinds = Counter(
        _NARROW[tensor.data_type]
        for tensor in constants.values()
        if tensor.data_type in _NARROW and any(size > 1 for size in tensor.dims)
    )
    if kinds:
        kind, count = kinds.most_common(1)[0]
        raise InputError(
            f"weights are {kind}: {count} of its tensors; export the network in float32"
        )


def quantized_operators(model: Any) -> Counter[str]:
    """How often each operator of quantization stands in an `onnx.ModelProto`."""
    return Counter(node.op_type for node in all_nodes(model) if is_quantized(node.op_type))


def counted(operators: Counter[str]) -> str:
    """ "14 MatMulInteger, 14 DynamicQuantizeLinear": what multiplies before what only rounds."""
    order = sorted(
        operators, key=lambda name: (name.endswith("uantizeLinear"), -operators[name], name)
    )
    return shortened(listed(f"{operators[name]} {name}" for name in order))


def all_nodes(model: Any) -> Iterator[Any]:
    """Of the graph, of the graphs inside its nodes (`If`, `Loop`), and of its own functions."""
    yield from _nodes(model.graph.node)
    for function in model.functions:
        yield from _nodes(function.node)


def _nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _nodes(graph.node)


def is_quantized(operator: str) -> bool:
    """Whether an operator computes or rounds to fewer bits, by its name."""
    return (
        "uantize" in operator
        or operator.startswith(_QUANTIZED_STARTS)
        or operator.endswith(_QUANTIZED_ENDS)
    )


def constants_of(model: Any, nodes: Iterable[Any]) -> dict[str, Any]:
    """Tensors that the file itself holds, by name."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in nodes:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.HasField("t"):
                found |= dict.fromkeys(node.output[:1], attribute.t)
    return found


def _of_training(node: Any, constants: dict[str, Any]) -> str:
    """Why a node computes as in training; empty where it does not."""
    if node.op_type == "BatchNormalization":
        asked = any(one.name == "training_mode" and one.i for one in node.attribute)
        return "it takes its statistics from the batch" if asked or any(node.output[1:]) else ""
    if node.op_type != "Dropout" or len(node.input) < 3:
        return ""
    training = constants.get(node.input[2])
    is_on = training is not None and (any(training.raw_data) or any(training.int32_data))
    return "it drops values at random" if is_on else ""
