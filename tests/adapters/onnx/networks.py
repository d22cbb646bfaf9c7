"""Networks exported to ONNX, and files made by hand."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitcliff.adapters.optional import quiet


class Small(nn.Module):
    """Two convolutions with BatchNorm, a skip, and a classifier, for images (3, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        logits: Tensor = self.head((x + self.body(x)).mean((2, 3)))
        return logits


def with_statistics(model: nn.Module, seed: int = 0) -> nn.Module:
    """In eval mode and frozen, with BatchNorm statistics as training might leave them."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if not isinstance(module, _BatchNorm):
            continue
        if module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
        if module.affine:
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0, 0.2, generator=generator)
    return model.eval().requires_grad_(False)


def small() -> nn.Module:
    """`Small` with fixed weights."""
    torch.manual_seed(0)
    return with_statistics(Small())


def images(n: int, size: int = 8) -> Tensor:
    """Noise, (n, 3, size, size)."""
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(n))


def export(
    model: nn.Module,
    path: Path,
    size: int = 8,
    *,
    dynamo: bool = False,
    batch: int | None = None,
    opset: int = 17,
    unfolded: bool = False,
    external: bool = False,
    x: Tensor | None = None,
) -> str:
    """By PyTorch's newer or older exporter; `batch` fixes it, `unfolded` keeps BatchNorms.

    `x`: two inputs, where the network takes no images of three channels.
    """
    x = images(batch or 2, size) if x is None else x
    # The older exporter has no word for the attention that PyTorch fuses in eval mode.
    torch.backends.mha.set_fastpath_enabled(False)
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = None if batch else ({0: "batch"},)
            torch.onnx.export(
                model,
                (x,),
                path,
                dynamo=True,
                dynamic_shapes=shapes,
                opset_version=max(opset, 18),
                external_data=external,
                optimize=not unfolded,
                verbose=False,
            )
        else:
            axes = None if batch else {"x": {0: "batch"}}
            mode = torch.onnx.TrainingMode.PRESERVE if unfolded else torch.onnx.TrainingMode.EVAL
            torch.onnx.export(
                model,
                (x,),
                path,
                dynamo=False,
                dynamic_axes=axes,
                input_names=["x"],
                opset_version=opset,
                training=mode,
                do_constant_folding=not unfolded,
            )
    return str(path)


def by_hand(
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray] | None = None,
    *,
    shape: Sequence[int | str] = ("batch", 4),
    opset: int = 18,
) -> onnx.ModelProto:
    """A graph from "x", float32 of this shape, to "y"."""
    graph = helper.make_graph(
        list(nodes),
        "made by hand",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def perceptron() -> onnx.ModelProto:
    """x (batch, 4) to three classes by two layers."""
    rng = np.random.default_rng(0)
    weights = {
        "first.weight": rng.normal(size=(6, 4)).astype(np.float32),
        "first.bias": rng.normal(size=6).astype(np.float32),
        "second": rng.normal(size=(6, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "first.weight", "first.bias"], ["a"], "gemm", transB=1),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("MatMul", ["b", "second"], ["y"], "/second/MatMul"),
    ]
    return by_hand(nodes, weights)


def save(model: onnx.ModelProto, path: Path) -> str:
    """Written as it is, unchecked."""
    path.write_bytes(model.SerializeToString())
    return str(path)
