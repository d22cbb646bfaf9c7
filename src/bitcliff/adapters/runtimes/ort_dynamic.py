"""`ort-dynamic`: ONNX Runtime's `quantize_dynamic`, convolutions too, after its pre-processing."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Inputs, Subject

NAME = "ort-dynamic"
# What it can quantize of what classifiers are made of; convolutions are not among its defaults.
_KINDS = ("Conv", "Gemm", "MatMul")
_INTEGER = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}


def load_ort_dynamic(subject: Subject, make_onnx: Callable[[], bytes]) -> Runtime:
    """Weights and, at each call, activations to 8 bits; one scale for the whole batch.

    Raises:
        InputError: it cannot quantize this network. MissingExtra: it is not installed.
    """
    runtime = require("onnxruntime", "onnx", f"--runtime {NAME}")
    onnx = require("onnx", "onnx", f"--runtime {NAME}")
    try:
        with TemporaryDirectory() as folder, quiet():
            file = _quantized(make_onnx(), Path(folder))
            model = onnx.load(file)
            session = open_session(runtime, file)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"--runtime {NAME}: ONNX Runtime cannot quantize {subject.name} ({one_line(error)})"
        ) from error
    kinds = Counter(node.op_type for node in model.graph.node)
    return Runtime(
        name=NAME,
        version=f"onnxruntime {runtime.__version__}",
        description="quantize_dynamic after quant_pre_process: weights uint8 per tensor, "
        "activations uint8, one scale a batch",
        run=run_session(session),
        quantized={_INTEGER[kind]: kinds[kind] for kind in _INTEGER if kinds[kind]},
        in_float={kind: kinds[kind] for kind in _KINDS if kinds[kind]},
    )


def _quantized(data: bytes, folder: Path) -> Path:
    quantization = require("onnxruntime.quantization", "onnx", f"--runtime {NAME}")
    shapes = require("onnxruntime.quantization.shape_inference", "onnx", f"--runtime {NAME}")
    given, prepared, done = (folder / f"{name}.onnx" for name in ("given", "prepared", "done"))
    given.write_bytes(data)
    # It warns through the root logger about what it was told to do.
    logging.disable(logging.WARNING)
    try:
        shapes.quant_pre_process(str(given), str(prepared))
        # Its integer convolution takes unsigned weights only.
        quantization.quantize_dynamic(
            prepared,
            done,
            op_types_to_quantize=list(_KINDS),
            weight_type=quantization.QuantType.QUInt8,
        )
    finally:
        logging.disable(logging.NOTSET)
    return done


def open_session(runtime: Any, model: Path | bytes) -> Any:
    """An ONNX Runtime session on the CPU with torch's number of threads."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what goes wrong is raised
    source = model if isinstance(model, bytes) else str(model)
    return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run_session(session: Any) -> Callable[[Inputs], Tensor]:
    """A session as a function of a batch: its first output, float32."""
    names = [given.name for given in session.get_inputs()]
    output = session.get_outputs()[0].name

    def run(inputs: Inputs) -> Tensor:
        if not isinstance(inputs, Mapping):
            inputs = {names[0]: inputs}
        feed = {name: inputs[name].numpy(force=True) for name in names}
        return torch.as_tensor(session.run([output], feed)[0]).float()

    return run
