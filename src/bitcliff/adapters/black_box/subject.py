"""`--black-box FILE.onnx`: a network that is assessed by its answers alone."""

from pathlib import Path

from torch import Tensor, nn

from bitcliff.adapters.black_box.load import load_black_box
from bitcliff.adapters.black_box.settings import BlackBoxSettings
from bitcliff.adapters.onnx.file import read_onnx
from bitcliff.adapters.onnx.subject import input_shape
from bitcliff.adapters.optional import require
from bitcliff.adapters.options import ModelOptions
from bitcliff.adapters.preprocessing import override
from bitcliff.errors import InputError
from bitcliff.types.black_box import BlackBox
from bitcliff.types.subject import Preprocessing, Subject

_DEFAULTS = ModelOptions()
_AT_ONCE = 256


def load_black_box_subject(spec: str, options: ModelOptions = _DEFAULTS) -> Subject:
    """An ONNX file that stays one: ONNX Runtime gives its scores in float, and nothing else.

    Pictures are brought to the size that the file declares and to 0..1, unless `options` say
    otherwise; a file says nothing of a mean.

    Raises:
        InputError: not an ONNX file that ONNX Runtime can run, or one with a fixed batch above 1.
    """
    if not spec.lower().endswith(".onnx"):
        raise InputError(f"MODEL {spec}: --black-box takes a network as FILE.onnx")
    settings = BlackBoxSettings(num_classes=options.num_classes, batch=_AT_ONCE)
    box = load_black_box(spec, settings)
    batch, *sizes = input_shape(read_onnx(Path(spec)).model.graph, spec)
    if batch is not None and batch > 1:
        raise InputError(
            f"{spec}: takes {batch} examples at once and no other number; export it again with "
            "a batch dimension that is free, or 1"
        )
    return Subject(
        name=spec,
        module=_Answers(box).eval(),
        preprocessing=override(_pictures(sizes), options),
        class_names=None,
        weights_sha256=box.identity,
        black_box=True,
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


class _Answers(nn.Module):
    """A black box where a module is wanted."""

    def __init__(self, box: BlackBox) -> None:
        super().__init__()
        self.box = box

    def forward(self, inputs: Tensor) -> Tensor:
        return self.box.ask(inputs)


def _pictures(sizes: list[int | None]) -> Preprocessing | None:
    if len(sizes) != 3 or sizes[0] not in (1, 3) or sizes[1] is None or sizes[2] is None:
        return None
    channels = sizes[0]
    return Preprocessing(
        size=(sizes[1], sizes[2]),
        channels=channels,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        source="the size of the file's input, pixels / 255",
    )
