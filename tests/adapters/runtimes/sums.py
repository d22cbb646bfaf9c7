"""Files of integer products, and their sums written out as either kind of processor adds them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from bitcliff.adapters.runtimes.integer_sums import integer_sums
from bitcliff.adapters.runtimes.session import open_session, run_session
from bitcliff.types.runtime import IntegerSums

Array = npt.NDArray[Any]
FLAGS = set(Path("/proc/cpuinfo").read_text().split())
SATURATES = "avx2" in FLAGS and FLAGS.isdisjoint({"avx512_vnni", "avx_vnni"})


def model_of(
    *nodes: Any, kind: int = TensorProto.FLOAT, given: int = TensorProto.UINT8, **constants: Any
) -> Any:
    """One input `x` and one output `y`, of types `given` and `kind`."""
    values = [
        helper.make_tensor_value_info("x", given, None),
        helper.make_tensor_value_info("y", kind, None),
    ]
    tensors = [numpy_helper.from_array(np.array(v), name) for name, v in constants.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def in_pairs(x: Array, w: Array) -> Array:
    """As vpmaddubsw adds: 2k and 2k + 1, at most 16 bits."""
    even = [(0, 0)] * (x.ndim - 1) + [(0, x.shape[-1] % 2)]
    x, w = np.pad(x.astype(int), even), np.pad(w.astype(int), [(0, len(w) % 2), (0, 0)])
    products = x[..., :, None] * w
    pairs = products[..., 0::2, :] + products[..., 1::2, :]
    sums: Array = pairs.clip(-(2**15), 2**15 - 1).sum(-2)
    return sums


def exactly(x: Array, w: Array) -> Array:
    """Without an end."""
    sums: Array = x.astype(int) @ w.astype(int)
    return sums


def dynamic(x: Array) -> tuple[Array, np.float32, int]:
    """As DynamicQuantizeLinear rounds: 8 bits, their scale and zero point."""
    low, high = min(x.min(), np.float32(0)), max(x.max(), np.float32(0))
    scale = np.float32((high - low) / np.float32(255)) if high > low else np.float32(1)
    zero = int(np.clip(np.round(-low / scale), 0, 255))
    return np.clip(np.round(x / scale) + zero, 0, 255).astype(np.uint8), scale, zero


def weights(seed: int, *shape: int) -> Array:
    """Large ones of both signs, so that pairs of them overflow."""
    random = np.random.default_rng(seed)
    found: Array = random.integers(60, 128, shape).astype(np.int8)
    found[random.random(shape) < 0.3] *= -1
    return found


def both(model: Any) -> IntegerSums:
    found = integer_sums(onnxruntime, model, model.SerializeToString())
    assert found is not None
    return found


def check(model: Any, x: torch.Tensor, expected: Sequence[Array], within: float | int = 0) -> None:
    """Exact and saturating sums give what is expected, and this processor one to the bit."""
    exact, saturating = expected
    assert (np.abs(exact - saturating) > 10 * within).any()
    runs = both(model)
    found = [run(x).numpy() for run in (runs.exact(), runs.saturating())]
    for one, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, right, rtol=0, atol=within)
    here = run_session(open_session(onnxruntime, model.SerializeToString()))(x).numpy()
    assert np.array_equal(here, found[SATURATES])
    as_here, simulated = (run(x).numpy() for run in runs.compared())
    assert np.array_equal(as_here, simulated) is SATURATES
