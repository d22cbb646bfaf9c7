"""PyTorch's own dynamic quantization of linear layers."""

import pytest
import torch
from torch import nn

from bitcliff.adapters import load_model
from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.errors import InputError
from bitcliff.quant import Scheme, fake_quantize
from tests.small_networks import chain


def test_linear_layers_run_in_integers_and_the_subject_stays_as_it_is() -> None:
    subject = make_subject("chain", chain(width=16), None, None)
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in subject.module.state_dict().items()}
    expected = subject.module(x)
    runtime = load_runtime("torch-dynamic", subject, bytes)
    assert (runtime.quantized, runtime.in_float) == ({"Linear": 6}, {})
    found = runtime.run(x)
    assert not torch.equal(found, expected)
    assert (found.argmax(1) == expected.argmax(1)).float().mean() > 0.8
    assert torch.equal(runtime.run_float(x), expected)
    after = subject.module.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_it_leaves_activations_seven_bits_and_weights_eight() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(24, 5).eval()
    x = torch.randn(1, 24)
    runtime = load_runtime(
        "torch-dynamic", make_subject("one", nn.Sequential(layer), None, None), bytes
    )
    bits = torch.full((1,), runtime.activation_bits)
    rounded = fake_quantize(x, bits, Scheme.parse("onnx"))
    low, high = layer.weight.min(), layer.weight.max()
    scale = (high - low) / 255
    weight = (layer.weight / scale).round() * scale
    expected = rounded @ weight.T + layer.bias
    eight = fake_quantize(x, bits + 1, Scheme.parse("onnx")) @ weight.T + layer.bias
    found = runtime.run(x)
    # What is left is its own way to round weights, far below a step of seven bits.
    assert (found - expected).abs().max() < 0.3 * (found - eight).abs().max()


def test_one_scale_serves_the_whole_batch() -> None:
    runtime = load_runtime("torch-dynamic", make_subject("chain", chain(), None, None), bytes)
    torch.manual_seed(0)
    small, large = torch.randn(1, 4), 1000 * torch.randn(1, 4)
    alone, together = runtime.run(small), runtime.run(torch.cat([small, large]))
    assert not torch.allclose(alone[0], together[0], rtol=0.1)


def test_convolutions_stay_in_float_and_are_reported() -> None:
    runtime = load_runtime("torch-dynamic", load_model("base-digits"), bytes)
    assert runtime.quantized == {"Linear": 1}
    assert runtime.in_float == {"Conv2d": 20, "BatchNorm2d": 20}


def test_a_plans_layers_stay_in_float_and_a_recurrent_layer_counts_once() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.lstm = nn.Embedding(9, 8), nn.LSTM(8, 8, batch_first=True)
            self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            x = self.one(self.lstm(self.table(tokens))[0])
            return self.two(self.one(x[:, -1]))  # type: ignore[no-any-return]

    subject = make_subject("recurrent", Recurrent().eval(), None, None)
    runtime = load_runtime("torch-dynamic", subject, bytes, in_float=("one@2", "elsewhere"))
    assert runtime.kept == {"one@2", "elsewhere"}
    assert runtime.quantized == {"LSTM": 1, "Linear": 1}
    assert runtime.in_float == {"Embedding": 1, "Linear": 1}
    tokens = torch.arange(9).reshape(3, 3)
    every = load_runtime("torch-dynamic", subject, bytes)
    assert every.quantized == {"LSTM": 1, "Linear": 2}
    assert not torch.equal(every.run(tokens), runtime.run(tokens))
    assert isinstance(subject.module.get_submodule("one"), nn.Linear)


def test_nothing_to_quantize_is_one_line() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten()).eval()
    with pytest.raises(InputError) as error:
        load_runtime("torch-dynamic", make_subject("convolution", network, None, None), bytes)
    assert str(error.value) == (
        "--runtime torch-dynamic: it quantizes nothing of convolution, which is made of 1 Conv2d; "
        "give another runtime"
    )


def test_where_torch_fuses_a_whole_layer_the_error_says_what_helps() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network = nn.Sequential(layer, nn.Flatten(), nn.Linear(24, 3)).eval()
    subject, x = make_subject("encoder", network, None, None), torch.randn(4, 3, 8)
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(True)
        with pytest.raises(
            InputError, match=r"cannot run encoder .* call (.*) where the net"
        ) as told:
            load_runtime("torch-dynamic", subject, bytes).run(x)
        assert "torch.backends.mha.set_fastpath_enabled(False)" in str(told.value)
        torch.backends.mha.set_fastpath_enabled(False)
        runtime = load_runtime("torch-dynamic", subject, bytes)
        assert torch.allclose(runtime.run(x), runtime.run_float(x), atol=0.2)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
