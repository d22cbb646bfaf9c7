"""A parsed ONNX file into a PyTorch network; what is constant in it is worked out once."""

import contextlib
import inspect
from collections.abc import Callable, Container, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.adapters.onnx.advice import instead
from bitcliff.adapters.onnx.baseline import check_baseline
from bitcliff.adapters.onnx.file import OnnxFile
from bitcliff.adapters.onnx.guard import LARGEST_HELD, LARGEST_TENSOR, SizeGuard, check_bytes
from bitcliff.adapters.onnx.modules import Call, as_layer
from bitcliff.adapters.onnx.names import Paths, path_of_node
from bitcliff.adapters.onnx.network import OnnxNetwork, Step
from bitcliff.adapters.onnx.operators import OPERATORS
from bitcliff.adapters.onnx.operators.sizes import also_on_sizes
from bitcliff.adapters.onnx.tensors import read_tensor
from bitcliff.adapters.optional import require
from bitcliff.adapters.wording import one_line, shortened, told_of
from bitcliff.errors import InputError

_OLDEST_OPSET = 7  # the oldest that ONNX Runtime promises to run
_MOST_NODES = 50_000
_DOMAINS = ("", "ai.onnx")


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
    names = {
        node.op_type if node.domain in _DOMAINS else f"{node.domain}.{node.op_type}"
        for _, node in _needed(graph, output)
    }
    check_baseline(file.model)
    lacking = sorted(names - OPERATORS.keys())
    if lacking:
        raise InputError(
            f"has operators that cannot be run in PyTorch here: {shortened(', '.join(lacking))}; "
            + instead(file.model)
        )
    if functions or graph.sparse_initializer:
        what = "functions of its own" if functions else "sparse weights"
        raise InputError(f"has {what}, which are not supported; {instead(file.model)}")
    if len(graph.node) > _MOST_NODES:
        raise InputError(f"has {len(graph.node)} nodes; {_MOST_NODES} is the limit")
    opset = max((o.version for o in file.model.opset_import if o.domain in _DOMAINS), default=0)
    if opset < _OLDEST_OPSET:
        raise InputError(f"is of opset {opset}; export it with opset {_OLDEST_OPSET} or newer")
    return opset


def _needed(graph: Any, output: str | None) -> list[tuple[int, Any]]:
    """The nodes that the output depends on, in the file's order, with their places in it.

    What feeds other outputs alone cannot change an answer: points there would take bits for
    nothing.
    """
    wanted = {output} if output else {first.name for first in graph.output[:1]}
    found = []
    for index, node in reversed(list(enumerate(graph.node))):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            found.append((index, node))
    return found[::-1]


class _Builder:
    def __init__(self, file: OnnxFile, opset: int, fold: bool) -> None:
        self.file, self.opset, self.fold = file, opset, fold
        self.constants = {t.name: read_tensor(t, file.path) for t in file.model.graph.initializer}
        self.steps: list[tuple[Step, nn.Module]] = []
        self.paths = Paths([*dir(OnnxNetwork), "constants", "inputs", "output", "steps"])
        self.folded = 0
        self.batch = _declared_batch(file.model.graph, self.constants)

    def network(self, output: str | None) -> OnnxNetwork:
        """All nodes that count, in the file's order, which must be one in which they can run."""
        graph = self.file.model.graph
        inputs = [i.name for i in graph.input if i.name not in self.constants]
        known = {*inputs, *self.constants}
        for index, node in _needed(graph, output):
            outputs = list(node.output)
            while outputs and not outputs[-1]:
                outputs.pop()
            missing = [name for name in node.input if name and name not in known]
            again = [name for name in outputs if name in known]
            title = shortened(f"node {node.name or index} ({node.op_type})")
            if missing or again or not outputs:
                raise InputError(
                    f"{title}: {'its input' if missing else 'its output'} "
                    f"{shortened(str((missing or again or [''])[0]))!r} is made "
                    f"{'by no node before it' if missing else 'twice or not at all'}"
                )
            known.update(filter(None, outputs))
            self._add(node, title, tuple(outputs))
        output = output or next((one.name for one in graph.output), None)
        if output is None or not any(output in step.outputs for step, _ in self.steps):
            raise InputError("its output does not depend on its input")
        used = {name for step, _ in self.steps for name in step.inputs}
        constants = {name: value for name, value in self.constants.items() if name in used}
        alike = {one.name for one in graph.input if one.name in inputs and _is_one_number(one)}
        return OnnxNetwork(inputs, output, self.steps, constants, self.batch, alike)

    def _add(self, node: Any, title: str, outputs: tuple[str, ...]) -> None:
        attributes = _attributes(node, self.file.path)
        inputs = self._at_any_batch(node)
        constant = all(name in self.constants for name in inputs if name)
        if constant and (self.fold or not inputs):
            return self._work_out(node, title, attributes, outputs)
        weights = [self.constants.get(name) for name in inputs[1:]]
        whole = all(not name or name in self.constants for name in inputs[1:])
        layer = as_layer(node.op_type, weights, attributes) if whole and not constant else None
        weight = inputs[1] if layer is not None else None
        path = self.paths.unique(path_of_node(node.name, node.op_type, weight))
        if layer is None:
            function = _bound(node.op_type, attributes, self.opset, len(outputs))
            step = Step(title, path, inputs, outputs)
            self.steps.append((step, Call(also_on_sizes(node.op_type, attributes, function))))
        else:
            self.steps.append((Step(title, path, inputs[:1], outputs), layer))
        return None

    def _at_any_batch(self, node: Any) -> tuple[str, ...]:
        """The node's inputs. A shape that begins with the file's own batch is left open there.

        A guess, which the comparison with ONNX Runtime puts to the test.
        """
        inputs = tuple(node.input)
        shape = self.constants.get(inputs[1]) if node.op_type == "Reshape" else None
        if not self.fold or self.batch is None or shape is None or inputs[0] in self.constants:
            return inputs
        sizes = shape.tolist()
        if sizes[:1] != [self.batch] or -1 in sizes:
            return inputs
        name = f"{inputs[1]} at any batch"
        self.constants[name] = torch.tensor([-1, *sizes[1:]])
        return (inputs[0], name)

    def _work_out(
        self, node: Any, title: str, attributes: Mapping[str, Any], outputs: tuple[str, ...]
    ) -> None:
        function = _bound(node.op_type, attributes, self.opset, len(outputs))
        given = [self.constants[name] if name else None for name in node.input]
        try:
            # What the file holds may be made into as much again.
            with torch.no_grad(), SizeGuard(max(LARGEST_TENSOR, self.file.size)):
                results = function(*given)
            results = results if isinstance(results, tuple) else (results,)
            self.folded += sum(t.numel() * t.element_size() for t in results)
            check_bytes(self.folded, LARGEST_HELD + self.file.size)
        except Exception as error:
            why = str(error) if isinstance(error, InputError) else one_line(error)
            raise InputError(f"{title}: {why}") from error
        self.constants.update(zip(outputs, results, strict=False))


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
    if not all(isinstance(one, int | float) for one in values):
        raise InputError("an attribute holds neither numbers nor a tensor")
    return values
