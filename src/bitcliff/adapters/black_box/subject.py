"""`--black-box FILE.onnx`: a network that is assessed by its outputs alone."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from bitcliff.adapters.black_box.onnx_file import open_onnx
from bitcliff.adapters.black_box.outputs import Form, checked
from bitcliff.adapters.black_box.settings import BlackBoxSettings
from bitcliff.adapters.onnx.file import read_onnx
from bitcliff.adapters.onnx.images import image_preprocessing
from bitcliff.adapters.onnx.subject import declared_inputs, plain_shape
from bitcliff.adapters.optional import require
from bitcliff.errors import InputError
from bitcliff.types.black_box import Outputs
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Inputs, Subject

_NOTHING_ASKED = ModelOptions()
_DEFAULTS = BlackBoxSettings()
_AT_ONCE = 256


def load_black_box_subject(spec: str, options: ModelOptions = _NOTHING_ASKED) -> Subject:
    """An ONNX file that stays one: ONNX Runtime gives its scores in float, and nothing else.

    Images are brought to the size that the file declares; mean and deviation, which it does not,
    come from `options`.

    Raises:
        InputError: not an ONNX file that ONNX Runtime can run, or one with a fixed batch above 1.
    """
    if not spec.lower().endswith(".onnx"):
        raise InputError(f"MODEL {spec}: --black-box takes a network as FILE.onnx")
    opened = open_onnx(spec, _DEFAULTS, images=False)
    if opened.batch is not None and opened.batch > 1:
        raise InputError(
            f"{spec}: takes {opened.batch} examples at once and no other number; export it again "
            "with a batch dimension that is free, or 1"
        )
    inputs = declared_inputs(read_onnx(Path(spec)).model.graph, spec)
    shape = plain_shape(inputs)
    preprocessing, unnormalised = image_preprocessing(shape, options, spec)
    return Subject(
        name=spec,
        module=_AsModule(checked(spec, opened, Form(options.num_classes), _AT_ONCE)).eval(),
        preprocessing=preprocessing,
        class_names=None,
        weights_sha256=opened.identity,
        black_box=True,
        named_inputs=inputs if shape is None else None,
        unnormalised=unnormalised,
    )


def onnx_bytes(spec: str) -> bytes:
    """The file with all its weights; `load_black_box_subject` has checked where they lie.

    Raises:
        InputError: more than ONNX can hold in one piece.
    """
    onnx = require("onnx", "onnx", spec)
    try:
        written: bytes = onnx.load(spec).SerializeToString()
    except ValueError as error:
        raise InputError(f"{spec}: its weights are more than 2 GiB; give a smaller one") from error
    return written


class _AsModule(nn.Module):
    """A black box in the form of a module."""

    def __init__(self, ask: Callable[[Inputs], Outputs]) -> None:
        super().__init__()
        self.ask = ask

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        return self.ask(inputs[0] if inputs else named)
