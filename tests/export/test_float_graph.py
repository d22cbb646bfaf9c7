"""The float network as ONNX gives in ONNX Runtime what it gives in PyTorch, at any batch size."""

import onnxruntime
import pytest
import torch
from torch import nn

from bitcliff.adapters import load_examples, load_model
from bitcliff.errors import InputError
from bitcliff.export import float_onnx


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
