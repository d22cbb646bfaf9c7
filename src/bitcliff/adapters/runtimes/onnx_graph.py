"""An ONNX file as it is, in ONNX Runtime: named tensors in, named tensors out."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.runtimes.session import open_session
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError

Graph = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def load_graph(data: bytes) -> Graph:
    """A file's contents as a function of named tensors, on the CPU.

    Raises:
        InputError: ONNX Runtime does not take it. MissingExtra: it is not installed.
    """
    runtime = require("onnxruntime", "onnx", "running an exported network")
    try:
        session = open_session(runtime, data)
    except Exception as error:
        raise InputError(f"ONNX Runtime cannot run this network ({one_line(error)})") from error
    taken = {given.name for given in session.get_inputs()}
    names = [output.name for output in session.get_outputs()]

    def run(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        fed = {name: x.numpy(force=True) for name, x in tensors.items() if name in taken}
        return dict(zip(names, map(torch.as_tensor, session.run(names, fed)), strict=True))

    return run


def check_onnx(data: bytes) -> None:
    """Refuse a file that the format's own checker refuses.

    Raises:
        InputError: it does. MissingExtra: it is not installed.
    """
    onnx = require("onnx", "onnx", "bitcliff export")
    try:
        with quiet():
            onnx.checker.check_model(data, full_check=True)
    except Exception as error:
        raise InputError(f"cannot be written as valid ONNX: {one_line(error)}") from error


def require_exporter(purpose: str) -> None:
    """MissingExtra unless what PyTorch writes ONNX with is installed."""
    for package in ("onnx", "onnxscript"):
        require(package, "onnx", purpose)


def runtime_version() -> str:
    """Its name and version, such as "onnxruntime 1.31.1"."""
    return f"onnxruntime {require('onnxruntime', 'onnx', 'bitcliff verify').__version__}"
