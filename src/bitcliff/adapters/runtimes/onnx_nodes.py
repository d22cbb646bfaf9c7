"""Nodes of an ONNX file: which belongs to a point, which stayed in float."""

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bitcliff.adapters.onnx.network import OnnxNetwork
from bitcliff.adapters.onnx.operators.recurrent import GATES
from bitcliff.adapters.onnx.tensors import FLOATS
from bitcliff.types.runtime_choice import QUANTIZED
from bitcliff.types.subject import Subject

# These hand values on, and neither add nor multiply.
_MOVES = frozenset(
    (
        *("Cast", "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "Dropout", "Expand"),
        *("Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad", "Reshape", "Shape"),
        *("Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where"),
    )
)
# With weights that may be constant; their order in a list is before all others.
_LAYERS = (
    *("Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN", "Attention", "Gather"),
    "EmbedLayerNormalization",
)
_SCOPES = "pkg.torch.onnx.name_scopes"


def give_names(model: Any) -> None:
    """A name of its own to every node that has none or shares one; others are left as they are."""
    taken: set[str] = set()
    for index, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{index}_unnamed"
        taken.add(node.name)


def nodes_of_sites(subject: Subject, model: Any) -> dict[str, str]:
    """The name of the node behind each site of points (`Point.site`), where it can be told.

    A recurrent node's name comes under its module's path, in which its sites lie.

    Args:
        model: the user's own file where the subject was read from it, else what `float_onnx` wrote
            of the subject. Every node has a name.
    """
    if isinstance(subject.module, OnnxNetwork):
        maker = {output: node.name for node in model.graph.node for output in node.output}
        return {
            step.path: maker[step.outputs[0]]
            for step in subject.module.steps
            if step.outputs[0] in maker
        }
    weights = {name for name, _ in subject.module.named_parameters()}
    constants = {tensor.name for tensor in model.graph.initializer}
    uses: Counter[str] = Counter()
    found = {}
    for node in model.graph.node:
        if node.op_type in _LAYERS and not constants.isdisjoint(node.input):
            path = _path(node, weights)
            uses[path] += 1
            # As `points.walk` names a module's second use.
            found[path if uses[path] == 1 else f"{path}@{uses[path]}"] = node.name
    return found


def node_of(site: str, nodes: Mapping[str, str]) -> str | None:
    """The node behind a site, of `nodes_of_sites`; None where it cannot be told."""
    inside = site.rpartition(".")[0]
    return nodes.get(site) or (nodes.get(inside) if inside else None)


def recurrent_in_float(subject: Subject, done: Any) -> frozenset[str]:
    """The paths of recurrent nodes that are such still in the file that a runtime made."""
    if not isinstance(subject.module, OnnxNetwork):
        return frozenset()
    left = {name for node in done.graph.node if node.op_type in GATES for name in node.output}
    return frozenset(step.path for step in subject.module.steps if left.intersection(step.outputs))


def _path(node: Any, weights: Collection[str]) -> str:
    """Of the module that holds the weight, or else that the exporter notes as running."""
    for name in node.input:
        # The network is the one module of what was exported.
        weight: str = name.partition(".")[2]
        if weight in weights:
            return weight.rpartition(".")[0]
    noted = {one.key: one.value for one in node.metadata_props}.get(_SCOPES, "[]")
    scopes: list[str] = ast.literal_eval(noted)
    return scopes[-2].partition(".")[2] if len(scopes) > 1 else ""


def split_by_arithmetic(prepared: Any, done: Any) -> tuple[dict[str, int], dict[str, int]]:
    """How many operators of each kind compute in integers after quantization, and in float.

    Args:
        prepared: the file before; every node has a name of its own. done: after.
    """
    left = {node.name: node for node in done.graph.node}
    quantized: Counter[str] = Counter()
    in_float: Counter[str] = Counter()
    types = _types(prepared.graph)
    tables = {t.name for t in prepared.graph.initializer if t.data_type in FLOATS}
    for node in prepared.graph.node:
        # ONNX Runtime makes MatMul and Add of a Gemm before it quantizes.
        kind = "MatMul" if node.op_type == "Gemm" else node.op_type
        now = left.get(node.name) or left.get(f"{node.name}_{kind}")
        if kind == "Gather" and node.input[0] in tables:
            same = now is not None and now.input[0] == node.input[0]
            (in_float if same else quantized)[kind] += 1
        elif now is None and kind in QUANTIZED:
            quantized[kind] += 1
        elif now is not None and _computes(node, types):
            in_float.update(_with_inner(node, kind))
    return _sorted(quantized), _sorted(in_float)


def _types(graph: Any) -> dict[str, int]:
    values = (*graph.value_info, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _computes(node: Any, types: Mapping[str, int]) -> bool:
    """On floats; where their type is not known, it is taken for one."""
    kinds = {types.get(name, 0) for name in node.output}
    return node.op_type not in _MOVES and not kinds.isdisjoint((0, *FLOATS))


def _with_inner(node: Any, kind: str) -> Iterator[str]:
    """Also what runs in its branches, which are left as they are."""
    yield kind
    for attribute in node.attribute:
        for inner in attribute.g.node:
            if inner.op_type not in _MOVES:
                yield from _with_inner(inner, inner.op_type)


def _sorted(kinds: Counter[str]) -> dict[str, int]:
    """Layers first, then by number."""
    order = {kind: place for place, kind in enumerate(_LAYERS)}
    return dict(sorted(kinds.items(), key=lambda one: (order.get(one[0], 99), -one[1], one[0])))
