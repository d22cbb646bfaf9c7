"""The float network as ONNX gives in ONNX Runtime what it gives in PyTorch, at any batch size."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import helper
from torch import nn

from bitcliff.adapters import load_examples, load_model
from bitcliff.errors import InputError
from bitcliff.export import float_onnx
from tests.adapters.onnx.networks import by_hand, save


def test_a_trained_network_at_any_batch_size() -> None:
    subject = load_model("base-digits")
    examples = load_examples("digits", subject=subject, limit=12, seed=0)
    assert isinstance(examples.inputs, torch.Tensor)
    file = float_onnx(subject.module, examples.inputs)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    expected = subject.module(examples.inputs)
    for size in (1, 5, 12):
        fed = {"input": examples.inputs[:size].numpy()}
        (scores,) = session.run(["scores"], fed)
        torch.testing.assert_close(torch.from_numpy(scores), expected[:size], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("end", [10**9, 2**31 - 1, 2**63 - 1])
def test_a_slice_over_all_of_the_batch_keeps_the_batch_open(tmp_path: Path, end: int) -> None:
    """tf2onnx writes `x[:, :2]` as one Slice over both axes, the batch among them."""
    ends = {"from": [0, 0], "to": [end, 2], "axes": [0, 1]}
    weights: dict[str, np.ndarray] = {k: np.array(v, np.int64) for k, v in ends.items()}
    weights["w"] = np.eye(2, 3, dtype=np.float32)
    nodes = [
        helper.make_node("Slice", ["x", "from", "to", "axes"], ["s"]),
        helper.make_node("MatMul", ["s", "w"], ["y"]),
    ]
    module = load_model(save(by_hand(nodes, weights), tmp_path / "net.onnx")).module
    x = torch.randn(7, 4)
    expected = module(x)
    session = onnxruntime.InferenceSession(float_onnx(module, x[:2]))
    for size in (1, 7):
        (scores,) = session.run(None, {"input": x[:size].numpy()})
        torch.testing.assert_close(torch.from_numpy(scores), expected[:size])


class _Named(nn.Module):
    def forward(self, mask: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return (values * mask).sum(1)


def test_keyword_inputs_keep_their_names() -> None:
    fed = {"values": torch.randn(3, 4, 2), "mask": torch.ones(3, 4, 1)}
    session = onnxruntime.InferenceSession(float_onnx(_Named(), fed))
    assert {given.name for given in session.get_inputs()} == {"mask", "values"}
    (scores,) = session.run(None, {name: value.numpy() for name, value in fed.items()})
    torch.testing.assert_close(torch.from_numpy(scores), fed["values"].sum(1))


class _DependsOnValues(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum().item() > 0 else -x


def test_what_cannot_be_traced_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="cannot be written as ONNX") as error:
        float_onnx(_DependsOnValues(), torch.randn(2, 3))
    assert "\n" not in str(error.value)
