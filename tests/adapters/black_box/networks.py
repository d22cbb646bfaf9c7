"""A small network as an ONNX file, and its outputs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

WEIGHT = torch.linspace(-1, 1, 12 * 4).reshape(12, 4)


def images(n: int) -> Tensor:
    """Three channels, two by two."""
    return torch.randn(n, 3, 2, 2, generator=torch.Generator().manual_seed(n))


def scores(batch: Tensor) -> Tensor:
    """The outputs of the network, by PyTorch."""
    return batch.flatten(1) @ WEIGHT


def a_model(
    batch: str | int = "batch", operator: str = "MatMul", input_type: int = TensorProto.FLOAT
) -> onnx.ModelProto:
    """(batch, 3, 2, 2) to "scores" (batch, 4), "classes" (batch,) and "words" (batch,)."""
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node(operator, ["floats", "weight"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["classes"], axis=1, keepdims=0),
        helper.make_node("Cast", ["classes"], ["words"], to=TensorProto.STRING),
    ]
    outputs: list[tuple[str, int, Sequence[str | int]]] = [
        ("scores", TensorProto.FLOAT, (batch, 4)),
        ("classes", TensorProto.INT64, (batch,)),
        ("words", TensorProto.STRING, (batch,)),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("images", input_type, (batch, 3, 2, 2))],
        [helper.make_tensor_value_info(*output) for output in outputs],
        [numpy_helper.from_array(WEIGHT.numpy(), "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def save(model: onnx.ModelProto, path: Path) -> str:
    path.write_bytes(model.SerializeToString())
    return str(path)


def save_with_weights_at(location: str, path: Path) -> str:
    """The same file with its weights in another file, which is not written here."""
    model = a_model()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return save(model, path)


def weight_bytes() -> bytes:
    return np.ascontiguousarray(WEIGHT.numpy()).tobytes()
