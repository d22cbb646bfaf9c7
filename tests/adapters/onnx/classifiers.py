"""Small ONNX classifiers whose right answers are known, in float and quantized by the library."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

WIDTH, CLASSES = 16, 4
_RANDOM = np.random.default_rng(0)
_CENTRES = (1.5 * _RANDOM.normal(size=(CLASSES, WIDTH))).astype(np.float32)
Y = _RANDOM.integers(0, CLASSES, 64)
X = (_CENTRES[Y] + 0.5 * _RANDOM.normal(size=(64, WIDTH))).astype(np.float32)
"""(64, 16) examples, each near the centre of its class; all are right in float."""

WEIGHTS: dict[str, npt.NDArray[Any]] = {
    "w1": np.eye(WIDTH, dtype=np.float32),
    "w2": (_CENTRES.T / WIDTH).copy(),
    "b": (-(_CENTRES**2).sum(1) / 2 / WIDTH).astype(np.float32),
}
node = helper.make_node
FIRST = node("MatMul", ["x", "w1"], ["a"])
LAST = (node("MatMul", ["f", "w2"], ["m"]), node("Add", ["m", "b"], ["logits"]))


def classifier(
    *middle: Any,
    outputs: tuple[str, ...] = ("logits",),
    more: dict[str, npt.NDArray[Any]] | None = None,
    opset: int = 17,
) -> ModelProto:
    """x (n, 16) to a (n, 16); `middle` makes f (n, 16) of it; then m and logits (n, 4)."""
    middle = middle or (node("LeakyRelu", ["a"], ["f"], alpha=0.9),)
    shapes = {"a": WIDTH, "f": WIDTH, "m": CLASSES, "logits": CLASSES}
    graph = helper.make_graph(
        [FIRST, *middle, *LAST],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", shapes[name]])
            for name in outputs
        ],
        [numpy_helper.from_array(value, name) for name, value in (WEIGHTS | (more or {})).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def of_its_batch() -> ModelProto:
    """The mean over the batch is taken off: alone, every example becomes zero."""
    mean = node("ReduceMean", ["a"], ["mean"], axes=[0], keepdims=1)
    return classifier(mean, node("Sub", ["a", "mean"], ["f"]))


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self.left = iter([{"x": X}])

    def get_next(self) -> Any:
        return next(self.left, None)


def quantized(given: Path, how: str) -> Path:
    """The file quantized by the library: "dynamic", "QDQ" or "QOperator"."""
    made = given.with_name(f"{given.stem}-{how}.onnx")
    if how == "dynamic":
        quantize_dynamic(given, made, weight_type=QuantType.QUInt8)
    else:
        quantize_static(given, made, _Calibration(), quant_format=QuantFormat[how])
    return made
