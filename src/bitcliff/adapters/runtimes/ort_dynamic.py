"""`ort-dynamic`: ONNX Runtime's `quantize_dynamic`, convolutions too, after its pre-processing."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bitcliff.adapters.optional import require
from bitcliff.adapters.runtimes.session import open_session, run_session, takes_batches
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Subject

NAME = "ort-dynamic"
# What it can quantize of what classifiers are made of; convolutions are not among its defaults.
_KINDS = ("Conv", "Gemm", "MatMul")
_INTEGER = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}
# The same in the words of the points; its integer convolution knows no transposed one.
_POINTS = {
    "Conv": ("conv1d", "conv2d", "conv3d", "convolution"),
    "MatMul": ("linear", "matmul"),
}


def load_ort_dynamic(_subject: Subject, make_onnx: Callable[[], bytes]) -> Runtime:
    """Weights and, at each call, activations to 8 bits; one scale for the whole batch.

    Raises:
        MissingExtra: it is not installed.
    """
    runtime = require("onnxruntime", "onnx", f"--runtime {NAME}")
    onnx = require("onnx", "onnx", f"--runtime {NAME}")
    given = make_onnx()
    with TemporaryDirectory() as folder:
        file = _quantized(given, Path(folder))
        kinds = Counter(node.op_type for node in onnx.load(file).graph.node)
        session = open_session(runtime, file)
    quantized = {_INTEGER[kind]: kinds[kind] for kind in _INTEGER if kinds[kind]}
    return Runtime(
        name=NAME,
        version=f"onnxruntime {runtime.__version__}",
        description="quantize_dynamic after quant_pre_process: weights uint8 per tensor, "
        "activations uint8, one scale a batch",
        run=run_session(session),
        run_float=run_session(open_session(runtime, given)),
        quantized=quantized,
        in_float={kind: kinds[kind] for kind in _KINDS if kinds[kind]},
        kinds=frozenset(kind for each in quantized for kind in _POINTS[each]),
        folded=True,
        batches=takes_batches(session),
    )


def _quantized(data: bytes, folder: Path) -> Path:
    quantization = require("onnxruntime.quantization", "onnx", f"--runtime {NAME}")
    shapes = require("onnxruntime.quantization.shape_inference", "onnx", f"--runtime {NAME}")
    given, prepared, done = (folder / f"{name}.onnx" for name in ("given", "prepared", "done"))
    given.write_bytes(data)
    # It warns through the root logger about what it was asked to do.
    logging.disable(logging.WARNING)
    try:
        try:
            shapes.quant_pre_process(str(given), str(prepared))
        except Exception:  # noqa: BLE001  (a bare one, where it cannot follow texts of any length)
            given.write_bytes(_without_shapes(data))
            shapes.quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
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


def _without_shapes(data: bytes) -> bytes:
    """The file without what its exporter noted of shapes inside, some of which may not be so."""
    model = require("onnx", "onnx", f"--runtime {NAME}").load_model_from_string(data)
    del model.graph.value_info[:]
    written: bytes = model.SerializeToString()
    return written
