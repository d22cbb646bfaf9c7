"""ONNX Runtime's sessions as functions of a batch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from bitcliff.adapters.onnx.batch_axis import batch_axes
from bitcliff.points.outputs import Output
from bitcliff.types.subject import Inputs

_FLOATS = tuple(f"tensor({kind})" for kind in ("float", "double", "float16"))


def open_session(
    runtime: Any,
    model: Path | bytes,
    optimized: bool = True,
    exact_sums: bool = False,
    write_to: Path | None = None,
) -> Any:
    """An ONNX Runtime session on the CPU with torch's number of threads.

    `optimized`: with nodes fused and dropped; not where the values of each are needed.
    `exact_sums`: no sum of products saturates, on any processor. `write_to`: a file for the network
    with its nodes fused, as any processor may run it.
    """
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what goes wrong is raised
    if not optimized:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if exact_sums:
        options.add_session_config_entry("session.x64quantprecision", "1")
    if write_to is not None:
        options.optimized_model_filepath = str(write_to)
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    source = model if isinstance(model, bytes) else str(model)
    return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run_session(session: Any, output: str | None = None) -> Callable[[Inputs], Tensor]:
    """A session as a function of a batch: one output, by default its first, float32."""
    names = [given.name for given in session.get_inputs()]
    output = output or session.get_outputs()[0].name

    def run(inputs: Inputs) -> Tensor:
        if not isinstance(inputs, Mapping):
            inputs = {names[0]: inputs}
        return torch.as_tensor(session.run([output], fed(session, inputs))[0]).float()

    return run


def fed(session: Any, inputs: Mapping[str, Tensor]) -> dict[str, Shaped[np.ndarray, "*shape"]]:
    """Named tensors as a session takes them: one number, where it takes one for a whole batch, and
    the examples along the axis where it has them."""
    found = {}
    axes = batch_axes({given.name: given.shape for given in session.get_inputs()})
    for given in session.get_inputs():
        values = inputs[given.name].numpy(force=True)
        values = np.moveaxis(values, 0, axes.get(given.name, 0))
        found[given.name] = values[0, ...] if not given.shape and values.ndim == 1 else values
    return found


def session_outputs(session: Any) -> dict[str, Output]:
    """What is known of a session's outputs, by name."""
    return {
        one.name: Output(tuple(one.shape) or None, one.type in _FLOATS)
        for one in session.get_outputs()
    }


def takes_batches(session: Any) -> bool:
    """Whether the first dimension of the first input that has one is free."""
    shape = next(given.shape for given in session.get_inputs() if given.shape)
    return not isinstance(shape[0], int)
