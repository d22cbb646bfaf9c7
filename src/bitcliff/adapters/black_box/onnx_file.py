"""`FILE.onnx`: a network that ONNX Runtime runs."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bitcliff.adapters.black_box.outputs import NoOutput, Opened, check_images, fixed_batch
from bitcliff.adapters.black_box.settings import BlackBoxSettings
from bitcliff.adapters.onnx.file import read_onnx
from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.runtimes.session import fed, open_session, session_outputs
from bitcliff.adapters.wording import one_line, shortened
from bitcliff.errors import InputError
from bitcliff.points.outputs import chosen_output
from bitcliff.types.subject import Inputs

_WHOLE = ("tensor(int64)", "tensor(int32)")


def open_onnx(spec: str, settings: BlackBoxSettings, images: bool = True) -> Opened:
    """Loads an ONNX file, on the CPU.

    Weights in files of their own are read from the file's folder and below it, nowhere else.

    Args:
        images: it must take one input, of float32; else any, then given by their names.

    Raises:
        InputError: missing, cut off, not ONNX, operators that ONNX Runtime lacks, weights outside
            its folder, another input, or no such output.
    """
    file = read_onnx(Path(spec))
    session = _session(spec)
    if images:
        _check_input(session, spec)
    source = next((one for one in session.get_inputs() if one.shape), session.get_inputs()[0])
    output = _output(session, spec, settings.output)

    def predict(inputs: Inputs) -> Tensor:
        if isinstance(inputs, Tensor):
            check_images(spec, source.shape, inputs)
            inputs = {source.name: inputs}
        try:
            (result,) = session.run([output], fed(session, inputs))
        except Exception as error:
            raise NoOutput(f"ONNX Runtime failed ({one_line(error)})") from error
        return torch.as_tensor(result)

    return Opened(file.sha256, predict, batch=fixed_batch(source.shape))


def _session(spec: str) -> Any:
    runtime = require("onnxruntime", "onnx", spec)
    try:
        with quiet():
            return open_session(runtime, Path(spec))
    except Exception as error:
        raise InputError(f"{spec}: ONNX Runtime cannot run it ({one_line(error)})") from error


def _check_input(session: Any, spec: str) -> None:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or not inputs[0].shape:
        has = ", ".join(f"{given.name} {given.type}" for given in inputs) or "none"
        raise InputError(f"{spec}: must have one input, of float32; it has {has}")


def _output(session: Any, spec: str, chosen: str | None) -> str:
    outputs = {output.name: output.type for output in session.get_outputs()}
    known = session_outputs(session)
    # Classes without scores are answers too.
    if chosen is None and not any(output.could_be_scores for output in known.values()):
        chosen = next(iter(outputs))
    try:
        name = chosen_output(known, chosen)
    except InputError as error:
        raise InputError(f"{spec}: {shortened(str(error))}") from error
    if not known[name].is_float and outputs[name] not in _WHOLE:
        raise InputError(f"{spec}: output {name} is {outputs[name]}, not scores or classes")
    return name
