"""`FILE.onnx`: a network that ONNX Runtime runs."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bitcliff.adapters.black_box.answers import NoAnswer, Opened, check_pictures, fixed_batch
from bitcliff.adapters.black_box.settings import BlackBoxSettings
from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.weights import file_sha256
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.types.black_box import Pictures

_OUTPUT_TYPES = tuple(
    f"tensor({kind})" for kind in ("float", "double", "float16", "int64", "int32")
)


def open_onnx(spec: str, settings: BlackBoxSettings) -> Opened:
    """Loads an ONNX file with one float32 input, on the CPU.

    Weights in files of their own are read from the file's folder and below it, nowhere else.

    Raises:
        InputError: missing, cut off, not ONNX, operators that ONNX Runtime lacks, weights outside
            its folder, another input, or no such output.
    """
    files = [Path(spec), *_weight_files(Path(spec))]
    session = _session(spec)
    source, output = _input(session, spec), _output(session, spec, settings.output)

    def answer(pictures: Pictures) -> Tensor:
        check_pictures(spec, source.shape, pictures)
        try:
            (result,) = session.run([output], {source.name: pictures.numpy(force=True)})
        except Exception as error:
            raise NoAnswer(f"ONNX Runtime failed ({one_line(error)})") from error
        return torch.as_tensor(result)

    digests = [file_sha256(file) for file in files]
    identity = hashlib.sha256("".join(digests).encode()).hexdigest() if digests[1:] else digests[0]
    return Opened(identity, answer, batch=fixed_batch(source.shape))


def _weight_files(path: Path) -> list[Path]:
    """Where the file says that weights lie. Older versions of ONNX Runtime would read any path."""
    onnx = require("onnx", "onnx", str(path))
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a network exported as FILE.onnx")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise InputError(f"{path}: cut off, or not an ONNX file ({one_line(error)})") from error
    folder = path.parent
    files = [folder / location for location in sorted(set(_locations(model)))]
    for file in files:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{path}: refused: has weights outside its own folder, in {file}")
        if not file.is_file():
            raise InputError(f"{path}: its weights are in {file}, which is missing; copy it too")
    return files


def _locations(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                if field.name == "external_data" and part.key == "location":
                    yield part.value
                yield from _locations(part)


def _session(spec: str) -> Any:
    runtime = require("onnxruntime", "onnx", spec)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what goes wrong is raised; it needs no second line on stderr
    try:
        with quiet():
            return runtime.InferenceSession(spec, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise InputError(f"{spec}: ONNX Runtime cannot run it ({one_line(error)})") from error


def _input(session: Any, spec: str) -> Any:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or not inputs[0].shape:
        has = ", ".join(f"{given.name} {given.type}" for given in inputs) or "none"
        raise InputError(f"{spec}: must have one input of float32 pictures; it has {has}")
    return inputs[0]


def _output(session: Any, spec: str, wanted: str | None) -> str:
    outputs = {output.name: output.type for output in session.get_outputs()}
    name = wanted or next(iter(outputs))
    if name not in outputs:
        raise InputError(f"{spec}: no output {name}; it has {', '.join(outputs)}")
    if outputs[name] not in _OUTPUT_TYPES:
        raise InputError(f"{spec}: output {name} is {outputs[name]}, not scores or classes")
    return name
