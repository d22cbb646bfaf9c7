"""The float network in the same runtime: what a batch does there without any quantization."""

from collections.abc import Callable

import torch
from torch import Tensor

from bitcliff.adapters.optional import require
from bitcliff.adapters.runtimes.ort_dynamic import NAME as ORT
from bitcliff.adapters.runtimes.ort_dynamic import open_session, run_session
from bitcliff.points.forward import logits_of
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Inputs, Subject


def load_float_twin(name: str, subject: Subject, make_onnx: Callable[[], bytes]) -> Runtime:
    """The float network in the runtime of this name; in torch, where that runs no ONNX."""
    if name == ORT:
        package = require("onnxruntime", "onnx", f"--runtime {ORT}")
        run = run_session(open_session(package, make_onnx()))
        return Runtime("float", f"onnxruntime {package.__version__}", "not quantized", run)

    def in_torch(inputs: Inputs) -> Tensor:
        with torch.no_grad():
            return logits_of(subject.module, inputs).float()

    return Runtime("float", f"torch {torch.__version__}", "not quantized", in_torch)
