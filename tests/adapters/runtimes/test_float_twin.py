"""The float network in the runtime that quantizes it."""

import torch

from bitcliff.adapters import load_examples, load_model
from bitcliff.adapters.runtimes import load_float_twin
from bitcliff.export import float_onnx


def test_it_gives_the_float_networks_scores() -> None:
    subject = load_model("base-digits")
    inputs = load_examples("digits", subject=subject, limit=10).inputs
    expected = subject.module(inputs)
    for name, version in (("ort-dynamic", "onnxruntime "), ("torch-dynamic", "torch ")):
        twin = load_float_twin(name, subject, lambda: float_onnx(subject.module, inputs))
        assert twin.version.startswith(version)
        assert torch.allclose(twin.run(inputs), expected, atol=1e-4)
