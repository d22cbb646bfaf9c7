"""`FILE.onnx`: an exported network as a subject."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.onnx.build import build_network
from bitcliff.adapters.onnx.file import read_onnx
from bitcliff.adapters.options import ModelOptions
from bitcliff.adapters.preprocessing import override
from bitcliff.adapters.weights import Weights
from bitcliff.errors import InputError
from bitcliff.types.subject import Preprocessing, Subject

_FLOAT32 = 1


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
    shape = input_shape(file.model.graph, name)
    return make_subject(
        name,
        build_network(file),
        _preprocessing(shape, options, name),
        None,
        weights_sha256=file.sha256,
    )


def input_shape(graph: Any, name: str) -> list[int | None]:
    """The sizes that the one input declares, batch first; None where they are left open."""
    own = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in own]
    kinds = [value.type.tensor_type.elem_type for value in inputs]
    if kinds != [_FLOAT32]:
        has = ", ".join(value.name for value in inputs) or "none"
        raise InputError(f"{name}: must have one input, of float32; its inputs are {has}")
    sizes = inputs[0].type.tensor_type.shape.dim
    return [size.dim_value if size.dim_value > 0 else None for size in sizes]


def _preprocessing(
    shape: list[int | None], options: ModelOptions, name: str
) -> Preprocessing | None:
    """A file says nothing of how pictures become its input but their size and channels."""
    channels, *size = shape[1:] if len(shape) == 4 else (None, None, None)
    asked = replace(options, image_size=options.image_size or size[0])
    if options == ModelOptions() or asked.image_size is None or channels not in (None, 1, 3):
        return override(None, options)
    if any(side not in (None, asked.image_size) for side in size):
        raise InputError(f"{name}: takes pictures of {size[0]} x {size[1]}; leave --image-size out")
    channels = channels or len(options.mean or options.std or (0.0,) * 3)
    base = Preprocessing(
        size=(asked.image_size, asked.image_size),
        channels=channels,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        source=f"the input that {name} declares (pixels / 255)",
    )
    return override(base, options)
