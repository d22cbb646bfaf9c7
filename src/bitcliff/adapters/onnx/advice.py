"""What a user can do with a file that PyTorch cannot run here: advice that holds, or none."""

from collections.abc import Container
from typing import Any

from bitcliff.adapters.onnx.batch_axis import batch_axes, declared_sizes
from bitcliff.adapters.onnx.tensors import FLOATS
from bitcliff.adapters.wording import shortened
from bitcliff.types.runtime_choice import QUANTIZED

_KNOWN = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})


def instead(model: Any) -> str:
    """How to assess an onnx.ModelProto by its answers alone, or why that will not do either.

    The runtime must find something to quantize; the answer must be a choice between classes; the
    inputs must hold one example a row, so that batches can be made.
    """
    graph = model.graph
    bodies = [graph, *model.functions]  # but not the branches of an If, which stay in float
    tables = {tensor.name for tensor in graph.initializer if tensor.data_type in FLOATS}
    if not any(_is_quantized(node, tables) for body in bodies for node in body.node):
        return "nor is there a layer outside them, such as Conv or MatMul, that a runtime quantizes"
    domains = {node.domain for body in bodies for node in body.node}
    strange = sorted(domains - _KNOWN.union(function.domain for function in model.functions))
    if strange:
        return f"nor does ONNX Runtime know {shortened(', '.join(strange))}"
    own = {tensor.name for tensor in graph.initializer}
    why = _not_classes(graph) or _not_batched([i for i in graph.input if i.name not in own])
    if why:
        return f"nor can it be assessed with --black-box: {why}"
    return f"assess it with --black-box --runtime ort-dynamic{_task(graph)}"


def _is_quantized(node: Any, tables: Container[str]) -> bool:
    """By `ort-dynamic` as it is by default; of what is looked up, tables of floats alone."""
    looked_up = node.op_type == "Gather"
    return node.op_type in QUANTIZED and (not looked_up or node.input[0] in tables)


def _not_classes(graph: Any) -> str:
    """Why the first output holds no scores; empty where it may."""
    if not graph.output:
        return "it has no output"
    if graph.output[0].type.tensor_type.elem_type not in FLOATS:
        return "its first output is not scores for classes"
    return ""


def _task(graph: Any) -> str:
    """The option that says what is decided, where the first output is no row of class scores."""
    kind = graph.output[0].type.tensor_type
    longer = [size for size in kind.shape.dim[1:] if size.dim_value != 1]
    return " --task positions" if kind.HasField("shape") and len(longer) > 1 else ""


def _not_batched(inputs: list[Any]) -> str:
    """Why examples cannot be put into batches; empty where they can."""
    declared = {given.name: declared_sizes(given) for given in inputs}
    axes = batch_axes(declared)
    # One without axes is one number for a whole batch.
    firsts = {n: sizes[axes.get(n, 0)] for n, sizes in declared.items() if sizes}
    numbers = {n: size if isinstance(size, int) else None for n, size in firsts.items()}
    for name, first in numbers.items():
        if first != next(iter(numbers.values())):
            return f"its input {name} does not begin with the batch, as the state of a stream"
    return ""
