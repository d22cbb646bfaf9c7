"""`FILE.onnx`: an exported network as a subject."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.onnx.batch_axis import batch_axes, batch_first, declared_sizes
from bitcliff.adapters.onnx.build import build_network
from bitcliff.adapters.onnx.file import read_onnx
from bitcliff.adapters.onnx.images import image_preprocessing
from bitcliff.adapters.onnx.tensors import FLOATS, torch_type
from bitcliff.adapters.weights import Weights
from bitcliff.adapters.wording import shortened
from bitcliff.errors import InputError
from bitcliff.points.outputs import Output, chosen_output
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import NamedInput, Subject


def is_onnx(spec: str) -> bool:
    """Whether a model's name is that of an ONNX file."""
    return spec.lower().endswith(".onnx")


def load_onnx(name: str, weights: Weights | None, options: ModelOptions) -> Subject:
    """Builds the file's graph in PyTorch. Nothing of the file is run but its operators.

    Raises:
        InputError: the file cannot be read or is not supported; an option that it leaves no room
            for.
        MissingExtra: onnx is not installed.
    """
    if weights is not None:
        raise InputError(f"{name}: holds its own weights; leave --weights out")
    if options.num_classes is not None or options.initial is not None:
        raise InputError(f"{name}: an ONNX file is fixed; it can be assessed, but not changed")
    file = read_onnx(Path(name))
    inputs = declared_inputs(file.model.graph, name)
    output, others = declared_output(file.model.graph, options, name)
    options = options.changed(output=None)
    shape = plain_shape(inputs)
    preprocessing, unnormalised = image_preprocessing(shape, options, name)
    return make_subject(
        name,
        build_network(file, output=output),
        preprocessing,
        None,
        named_inputs=inputs if shape is None else None,
        input_shape=shape or None,
        class_names=_symbols(file.model, output),
        weights_sha256=file.sha256,
        output=output,
        other_outputs=others,
        unnormalised=unnormalised,
    )


def _symbols(model: Any, output: str | None) -> tuple[str, ...] | None:
    """Those that PaddleOCR's recognisers read, which their file lists: a blank comes before them,
    and a space behind; None: it lists none, or the output has another number of scores."""
    told = next((one.value for one in model.metadata_props if one.key == "character"), "")
    names = ("", *told.removesuffix("\n").split("\n"), " ")
    sizes = [one.type.tensor_type.shape.dim for one in model.graph.output if one.name == output]
    fits = any(len(size) == 3 and size[2].dim_value == len(names) for size in sizes)
    return names if told and fits else None


def declared_inputs(graph: Any, name: str) -> dict[str, NamedInput]:
    """What the file at `name` is given, in its order; the batch first also where the file has it
    elsewhere."""
    own = {tensor.name for tensor in graph.initializer}
    given = [value for value in graph.input if value.name not in own]
    axes = batch_axes({value.name: declared_sizes(value) for value in given})
    inputs: dict[str, NamedInput] = {}
    for value in given:
        kind, shown = value.type.tensor_type, shortened(value.name)
        if value.name in inputs:
            raise InputError(f"{name}: its input {shown!r} is declared twice")
        try:
            dtype = torch_type(kind.elem_type)
        except InputError as error:
            raise InputError(f"{name}: its input {shown!r}: {error}") from error
        moved = batch_first(declared_sizes(value), axes.get(value.name, 0))
        sizes = tuple(size if isinstance(size, int) else None for size in moved)
        inputs[value.name] = NamedInput(dtype, sizes if kind.HasField("shape") else None)
    if not inputs:
        raise InputError(f"{name}: has no input")
    if all(one.shape == () for one in inputs.values()):
        raise InputError(f"{name}: its inputs are one number for a whole batch, and no examples")
    return inputs


def declared_output(
    graph: Any, options: ModelOptions, name: str
) -> tuple[str | None, tuple[str, ...]]:
    """The output that is judged of the file at `name`, and the others with their shapes in words.

    Raises:
        InputError: there is none such, or several could be meant.
    """
    outputs = {value.name: _declared(value.type) for value in graph.output}
    if not outputs:
        return None, ()
    try:
        chosen = chosen_output(outputs, options.output, options.task is not None)
    except InputError as error:
        raise InputError(f"{name}: {shortened(str(error))}") from error
    return chosen, tuple(f"{one} {outputs[one]}" for one in outputs if one != chosen)


def _declared(kind: Any) -> Output:
    """What the file says of an output; maps and sequences are no scores."""
    tensor = kind.tensor_type
    if not tensor.HasField("shape"):
        return Output(None, tensor.elem_type in FLOATS)
    sizes = (size.dim_value or size.dim_param or None for size in tensor.shape.dim)
    return Output(tuple(sizes), tensor.elem_type in FLOATS)


def plain_shape(inputs: Mapping[str, NamedInput]) -> tuple[int | None, ...] | None:
    """Of the one float input, batch first, which needs no name; None where there are others."""
    one, *others = inputs.values()
    return None if others or one.dtype != torch.float32 else one.shape or ()
