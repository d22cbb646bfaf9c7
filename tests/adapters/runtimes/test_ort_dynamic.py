"""ONNX Runtime's own dynamic quantization of a trained network."""

import pytest
import torch

from bitcliff.adapters import load_examples, load_model
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.errors import InputError
from bitcliff.export import float_onnx


def test_every_layer_runs_in_integers_and_decisions_stay_near_float() -> None:
    subject = load_model("base-digits")
    examples = load_examples("digits", subject=subject, limit=40, seed=0)
    assert isinstance(examples.inputs, torch.Tensor)
    inputs = examples.inputs
    runtime = load_runtime("ort-dynamic", subject, lambda: float_onnx(subject.module, inputs))
    assert runtime.quantized == {"Conv": 20, "MatMul": 1}
    assert runtime.in_float == {}
    expected, found = subject.module(inputs), runtime.run(inputs)
    assert not torch.equal(expected, found)
    assert (expected.argmax(1) == found.argmax(1)).float().mean() > 0.9


def test_an_unknown_runtime_is_refused() -> None:
    with pytest.raises(InputError, match="--runtime ort-dynamc: not known; did you mean"):
        load_runtime("ort-dynamc", load_model("base-digits"), bytes)
