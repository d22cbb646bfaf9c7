"""A parsed ONNX file into a PyTorch network; what is constant in it is worked out once."""

import contextlib
import inspect
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.adapters.onnx.advice import instead
from bitcliff.adapters.onnx.baseline import all_nodes, check_baseline
from bitcliff.adapters.onnx.batch_axis import batch_axes, declared_sizes
from bitcliff.adapters.onnx.bodies import CONTROL, Body, Step
from bitcliff.adapters.onnx.file import OnnxFile
from bitcliff.adapters.onnx.guard import LARGEST_HELD, LARGEST_TENSOR, SizeGuard, check_bytes
from bitcliff.adapters.onnx.modules import Call, as_layer, as_recurrent
from bitcliff.adapters.onnx.names import Paths, path_of_node
from bitcliff.adapters.onnx.network import OnnxNetwork
from bitcliff.adapters.onnx.operators import OPERATORS
from bitcliff.adapters.onnx.operators.sizes import also_on_sizes, number
from bitcliff.adapters.onnx.tensors import read_tensor
from bitcliff.adapters.optional import require
from bitcliff.adapters.wording import one_line, shortened, told_of
from bitcliff.errors import InputError

_OLDEST_OPSET = 7  # the oldest that ONNX Runtime promises to run
_MOST_NODES = 50_000
_DOMAINS = ("", "ai.onnx")
_OF_SIZES = ("Shape", "Size")


def build_network(file: OnnxFile, fold: bool = True, output: str | None = None) -> OnnxNetwork:
    """The network that the file describes, in eval mode.

    Args:
        output: the name of the network's; None: the file's first.
        fold: work out at once what depends on constants alone. Without, every node runs.

    Raises:
        InputError: operators that are not supported, all of them named; no baseline, such as what
            is quantized already; a damaged graph.
    """
    try:
        opset = _check(file, output)
        return _Builder(file, opset, fold).network(output).eval()
    except InputError as error:
        raise InputError(told_of(str(file.path), error)) from error
    except Exception as error:  # a damaged file can hold anything
        raise InputError(f"{file.path}: damaged ({one_line(error)})") from error


def _check(file: OnnxFile, output: str | None) -> int:
    """The opset. InputError for what is refused as a whole."""
    graph, functions = file.model.graph, file.model.functions
    check_baseline(file.model)
    _check_operators(graph, [output] if output else [], file.model)
    if functions or graph.sparse_initializer:
        what = "functions of its own" if functions else "sparse weights"
        raise InputError(f"has {what}, which are not supported; {instead(file.model)}")
    if (count := sum(1 for _ in all_nodes(file.model))) > _MOST_NODES:
        raise InputError(f"has {count} nodes; {_MOST_NODES} is the limit")
    opset = max((o.version for o in file.model.opset_import if o.domain in _DOMAINS), default=0)
    if opset < _OLDEST_OPSET:
        raise InputError(f"is of opset {opset}; export it with opset {_OLDEST_OPSET} or newer")
    return opset


def _check_operators(graph: Any, wanted: Collection[str], model: Any) -> None:
    names = {
        node.op_type if node.domain in _DOMAINS else f"{node.domain}.{node.op_type}"
        for _, node in _needed(graph, wanted)
    }
    lacking = sorted(names - OPERATORS.keys() - CONTROL.keys())
    if lacking:
        raise InputError(
            f"has operators that cannot be run in PyTorch here: {shortened(', '.join(lacking))}; "
            + instead(model)
        )


def _needed(graph: Any, wanted: Collection[str]) -> list[tuple[int, Any]]:
    """The nodes that these values, or else the first output, depend on, in the file's order, with
    their places in it.

    What feeds other outputs alone cannot change an answer: points there would take bits for
    nothing.
    """
    names = set(wanted) or {first.name for first in graph.output[:1]}
    found = []
    for index, node in reversed(list(enumerate(graph.node))):
        if names.intersection(node.output):
            names.update(_read_by(node))
            found.append((index, node))
    return found[::-1]


def _read_by(node: Any) -> Iterator[str]:
    """The names of what a node reads, also inside."""
    yield from node.input
    for attribute in node.attribute:
        yield from (output.name for output in attribute.g.output)
        for inner in attribute.g.node:
            yield from _read_by(inner)


@dataclass(frozen=True)
class _Node:
    """A node of the file with the names that its values have in the network."""

    proto: Any
    title: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def operator(self) -> str:
        return str(self.proto.op_type)


class _Builder:
    """Attributes:
    constants: values that are known. fixed: names of those and of all that no example can change:
        what is worked out from sizes, and from inputs that are one number for a batch.
    names: what the values in reach are called here; a node's own nodes may repeat names that
        others have.
    """

    def __init__(self, file: OnnxFile, opset: int, fold: bool) -> None:
        self.file, self.opset, self.fold = file, opset, fold
        self.constants: dict[str, Tensor] = {}
        self.fixed: set[str] = set()
        self.names: dict[str, str] = {}
        self._taken: set[str] = set()
        self.steps: list[Step] = []
        self.modules: dict[str, nn.Module] = {}
        self.paths = Paths([*dir(OnnxNetwork), "constants", "inputs", "output", "steps"])
        self.folded = 0
        self._hold(file.model.graph)
        self.batch = _declared_batch(file.model.graph, self.constants)

    def network(self, output: str | None) -> OnnxNetwork:
        """All nodes that count, in the file's order, which must be one in which they can run."""
        graph = self.file.model.graph
        given = [one for one in graph.input if one.name not in self.constants]
        inputs = [self._name(one.name) for one in given]
        alike = {one.name for one in given if _is_one_number(one)}
        self.fixed |= alike
        self._add_all(graph, [output] if output else [])
        output = output or next((one.name for one in graph.output), None)
        if output is None or not any(output in step.outputs for step in self.steps):
            raise InputError("its output does not depend on its input")
        used = {name for step in self.steps for name in step.reads}
        constants = {name: value for name, value in self.constants.items() if name in used}
        axes = batch_axes({one.name: declared_sizes(one) for one in given})
        return OnnxNetwork(
            inputs, output, self.steps, self.modules, constants, self.batch, alike, axes
        )

    def _hold(self, graph: Any) -> None:
        for tensor in graph.initializer:
            self.constants[self._name(tensor.name)] = read_tensor(tensor, self.file.path)

    def _name(self, name: str) -> str:
        """What a value is called here that is new where it is made."""
        number, free = 1, name
        while free in self._taken:
            number += 1
            free = f"{name} ({number})"
        self._taken.add(free)
        self.names[name] = free
        return free

    def _add_all(self, graph: Any, wanted: Collection[str]) -> None:
        made: set[str] = {one.name for one in (*graph.input, *graph.initializer)}
        for index, proto in _needed(graph, wanted):
            outputs = list(proto.output)
            while outputs and not outputs[-1]:
                outputs.pop()
            missing = [name for name in proto.input if name and name not in self.names]
            again = [name for name in outputs if name in made]
            title = shortened(f"node {proto.name or index} ({proto.op_type})")
            if missing or again or not outputs:
                raise InputError(
                    f"{title}: {'its input' if missing else 'its output'} "
                    f"{shortened(str((missing or again or [''])[0]))!r} is made "
                    f"{'by no node before it' if missing else 'twice or not at all'}"
                )
            made.update(filter(None, outputs))
            inputs = tuple(self.names[name] if name else "" for name in proto.input)
            names = tuple(self._name(name) if name else "" for name in outputs)
            node = _Node(proto, title, inputs, names)
            if node.operator in CONTROL:
                self._add_control(node)
            else:
                self._add(node)

    def _add(self, node: _Node) -> None:
        attributes = _attributes(node.proto, self.file.path)
        inputs = self._at_any_batch(node)
        known = [name in self.fixed or name in self.constants for name in inputs if name]
        if all(known) or node.operator in _OF_SIZES:
            self.fixed.update(node.outputs)
        constant = all(name in self.constants for name in inputs if name)
        if constant and (self.fold or not inputs):
            return self._work_out(node, attributes)
        weights = [self.constants.get(name) for name in inputs[1:]]
        whole = all(not name or name in self.constants for name in inputs[1:])
        layer = as_layer(node.operator, weights, attributes) if whole and not constant else None
        left = inputs[:1]
        if layer is None and all(not name or name in self.constants for name in inputs[1:4]):
            layer, left = as_recurrent(node.operator, weights, attributes), (*left, *inputs[4:])
        if layer is None:
            function = _bound(node.operator, attributes, self.opset, len(node.outputs))
            layer, left = Call(also_on_sizes(node.operator, attributes, function)), inputs
            weight = None
        else:
            weight = inputs[1]
        path = self.paths.unique(path_of_node(node.proto.name, node.operator, weight))
        self._put(Step(node.title, path, left, node.outputs), layer)
        return None

    def _put(self, step: Step, module: nn.Module) -> None:
        self.steps.append(step)
        self.modules[step.path] = module

    def _add_control(self, node: _Node) -> None:
        inner = {one.name: one.g for one in node.proto.attribute}
        if missing := [name for name in CONTROL[node.operator] if name not in inner]:
            raise InputError(f"{node.title}: has no {missing[0]}")
        graphs = [inner[name] for name in CONTROL[node.operator]]
        told = node.inputs[:1] if node.operator == "If" else node.inputs[:2]
        self._check_fixed(node, told)
        if node.operator == "If":
            condition = self.constants.get(told[0])
            if self.fold and condition is not None and condition.numel() == 1:
                return self._add_branch(node, graphs[0 if number(condition) else 1])
        bodies = tuple(self._body(graph, node) for graph in graphs)
        if node.operator == "Loop":
            self._check_fixed(node, bodies[0].outputs[:1])
            names = (*node.inputs, "", "")[: max(2, len(node.inputs))]
        else:
            names = node.inputs
            both = zip(*(body.outputs for body in bodies), strict=True)
            fixed = (all(map(self._is_fixed, each)) for each in both)
            made = zip(node.outputs, fixed, strict=False)
            self.fixed.update(name for name, is_fixed in made if is_fixed)
        self.steps.append(Step(node.title, "", names, node.outputs, bodies))
        return None

    def _is_fixed(self, name: str) -> bool:
        return not name or name in self.fixed or name in self.constants

    def _check_fixed(self, node: _Node, names: Sequence[str]) -> None:
        for name in names:
            if not self._is_fixed(name):
                raise InputError(
                    f"{node.title}: whether it runs its nodes hangs on the data, by its condition "
                    f"{shortened(name)}; export the network without that decision; "
                    + instead(self.file.model)
                )

    def _add_branch(self, node: _Node, graph: Any) -> None:
        """What the condition, which is known, chooses, in the place of the node."""
        body = self._body(graph, node)
        self.steps += body.steps
        for name, inner in zip(node.outputs, body.outputs, strict=False):
            if self._is_fixed(inner):
                self.fixed.add(name)
            if inner in self.constants:
                self.constants[name] = self.constants[inner]
                continue
            path = self.paths.unique(path_of_node(node.proto.name, node.operator, None))
            self._put(Step(node.title, path, (inner,), (name,)), Call(lambda x: x))

    def _body(self, graph: Any, node: _Node) -> Body:
        """The nodes inside a node; what they make is out of reach outside."""
        wanted = [output.name for output in graph.output]
        _check_operators(graph, wanted, self.file.model)
        steps, names = self.steps, self.names
        self.steps, self.names = [], dict(names)
        try:
            self._hold(graph)
            inputs = tuple(self._name(given.name) for given in graph.input)
            if len(inputs) != (0 if node.operator == "If" else max(2, len(node.inputs))):
                raise InputError(f"{node.title}: its nodes take another number of inputs")
            self.fixed.update(inputs[:2])  # how often, and whether; both are checked
            self._add_all(graph, wanted)
            if missing := [name for name in wanted if name not in self.names]:
                raise InputError(f"{node.title}: its {shortened(missing[0])} is made by no node")
            outputs = tuple(self.names[name] for name in wanted)
            if len(outputs) < len(node.outputs) + (node.operator == "Loop"):
                raise InputError(f"{node.title}: its nodes give fewer values than it does")
            return Body(tuple(self.steps), inputs, outputs)
        finally:
            self.steps, self.names = steps, names

    def _at_any_batch(self, node: _Node) -> tuple[str, ...]:
        """The node's inputs. A shape that begins with the file's own batch is left open there.

        A guess, which the comparison with ONNX Runtime puts to the test.
        """
        inputs = node.inputs
        shape = self.constants.get(inputs[1]) if node.operator == "Reshape" else None
        if not self.fold or self.batch is None or shape is None or inputs[0] in self.constants:
            return inputs
        sizes = shape.tolist()
        if sizes[:1] != [self.batch] or -1 in sizes:
            return inputs
        name = f"{inputs[1]} at any batch"
        self.constants[name] = torch.tensor([-1, *sizes[1:]])
        return (inputs[0], name)

    def _work_out(self, node: _Node, attributes: Mapping[str, Any]) -> None:
        function = _bound(node.operator, attributes, self.opset, len(node.outputs))
        given = [self.constants[name] if name else None for name in node.inputs]
        try:
            # What the file holds may be made into as much again.
            with torch.no_grad(), SizeGuard(max(LARGEST_TENSOR, self.file.size)):
                results = function(*given)
            results = results if isinstance(results, tuple) else (results,)
            self.folded += sum(t.numel() * t.element_size() for t in results)
            check_bytes(self.folded, LARGEST_HELD + self.file.size)
        except Exception as error:
            why = str(error) if isinstance(error, InputError) else one_line(error)
            raise InputError(f"{node.title}: {why}") from error
        self.constants.update(zip(node.outputs, results, strict=False))


def _declared_batch(graph: Any, constants: Mapping[str, Tensor]) -> int | None:
    """Of the first input that has one; None where it is left open."""
    for given in graph.input:
        if given.name not in constants and not _is_one_number(given):
            sizes = given.type.tensor_type.shape.dim
            return sizes[0].dim_value or None if sizes else None
    return None


def _is_one_number(given: Any) -> bool:
    kind = given.type.tensor_type
    return kind.HasField("shape") and not kind.shape.dim


def _bound(
    operator: str, attributes: Mapping[str, Any], opset: int, outputs: int
) -> Callable[..., Any]:
    """The operator's function with its attributes, and with what else it asks for."""
    function = OPERATORS[operator]
    extra = {"opset": opset, "outputs": outputs}
    parameters: Container[str] = ()
    with contextlib.suppress(ValueError):  # PyTorch's own functions in C have no signature
        parameters = inspect.signature(function).parameters
    extra = {name: value for name, value in extra.items() if name in parameters}
    return partial(function, **attributes, **extra) if attributes or extra else function


def _attributes(node: Any, path: Path) -> dict[str, Any]:
    onnx = require("onnx", "onnx", str(path))
    return {
        attribute.name: _plain(onnx.helper.get_attribute_value(attribute), path)
        for attribute in node.attribute
    }


def _plain(value: Any, path: Path) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, int | float):
        return value
    if hasattr(value, "data_type") and hasattr(value, "dims"):
        return read_tensor(value, path)
    values = [value] if hasattr(value, "ListFields") else list(value)
    if values and all(isinstance(one, bytes) for one in values):
        return [one.decode(errors="replace") for one in values]
    if not all(isinstance(one, int | float) for one in values):
        raise InputError("an attribute holds neither numbers nor a tensor")
    return values
