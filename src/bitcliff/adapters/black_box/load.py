"""Names of black boxes, and the function that each kind of name goes to."""

from collections.abc import Callable

import torch
from torch import Tensor

from bitcliff.adapters.black_box.endpoint import open_endpoint
from bitcliff.adapters.black_box.onnx_file import open_onnx
from bitcliff.adapters.black_box.outputs import Form, NoOutput, Opened, checked
from bitcliff.adapters.black_box.python_call import open_call
from bitcliff.adapters.black_box.settings import BlackBoxSettings
from bitcliff.adapters.models import BUILT_IN, PREFIXES, load_model
from bitcliff.adapters.optional import quiet
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.points.forward import logits_of
from bitcliff.types.black_box import BlackBox, Images

_Opener = Callable[[str, BlackBoxSettings], Opened]

_ACCEPTED = (
    "FILE.onnx, http(s)://HOST:PORT/v2/models/NAME, call:package.module:function or a model's "
    "name such as timm:NAME"
)
_DEFAULTS = BlackBoxSettings()


def load_black_box(spec: str, settings: BlackBoxSettings = _DEFAULTS) -> BlackBox:
    """Opens the black box that a name stands for; an endpoint is asked for its metadata.

    Args:
        spec: "FILE.onnx" (ONNX Runtime, on the CPU); "http(s)://HOST:PORT/v2/models/NAME", with
            "/versions/VERSION" or without (Open Inference Protocol, KServe v2, as JSON);
            "call:package.module:function" (runs that code: a float32 numpy array of at most
            `settings.batch` images in, anything array-like out); or a name for `load_model`.

    Raises:
        InputError: one line that names what is wrong and what would be right.
        MissingExtra: the library it needs is not installed.
    """
    opened = _opener(spec, settings)(spec, settings)
    form = Form(settings.num_classes)
    return BlackBox(spec, opened.identity, checked(spec, opened, form, settings.batch))


def _opener(spec: str, settings: BlackBoxSettings) -> _Opener:
    prefix = spec.partition(":")[0]
    local = spec in BUILT_IN or prefix in PREFIXES
    if settings.weights is not None and not local:
        raise InputError(f"{spec}: takes no file of weights; leave weights out")
    if settings.output is not None and (local or prefix == "call"):
        raise InputError(f"{spec}: has one output; leave output {settings.output} out")
    if local:
        return _open_model
    if prefix in ("http", "https"):
        return open_endpoint
    if prefix == "call":
        return open_call
    if spec.lower().endswith(".onnx"):
        return open_onnx
    raise InputError(f"black box {spec}: not known; give {_ACCEPTED}")


def _open_model(spec: str, settings: BlackBoxSettings) -> Opened:
    """A model built here. It follows the images to their device."""
    subject = load_model(spec, weights=settings.weights)

    def predict(images: Images) -> Tensor:
        try:
            with torch.no_grad(), quiet():
                return logits_of(subject.module.to(images.device), images)
        except Exception as error:
            shape = tuple(images.shape[1:])
            raise NoOutput(f"failed on inputs of shape {shape} ({one_line(error)})") from error

    return Opened(subject.weights_sha256, predict)
