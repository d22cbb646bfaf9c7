"""A network in a shipped format: as the runtime itself runs it, and layer by layer."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torchao.quantization import (
    Int8DynamicActivationInt8WeightConfig,
    Int8DynamicActivationIntxWeightConfig,
    quantize_,
)
from torchao.quantization.granularity import PerGroup

from bitcliff.points import Attachment, discover
from bitcliff.points.attach import Rounding
from bitcliff.quant import round_shipped
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format, preset
from bitcliff.types.settings import Selection

EVERYTHING = Selection(include_stem=True)
CONFIGS = {
    "torchao-int8-row": Int8DynamicActivationInt8WeightConfig(set_inductor_config=False),
    "torchao-8da4w": Int8DynamicActivationIntxWeightConfig(
        weight_dtype=getattr(torch, "int4"),  # noqa: B009  (torch's types lack it)
        weight_granularity=PerGroup(32),
    ),
}


def spread(rows: int, length: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, length, generator=generator)
    return x * torch.exp(torch.randn(rows, 1, generator=generator))


def run(network: nn.Module, x: Tensor, shipped: Format) -> Tensor:
    points = discover(network, x, EVERYTHING)
    return Attachment(network, points).run(x, Rounding(formats=(shipped,) * len(points)))


@pytest.mark.parametrize("name", CONFIGS)
def test_decisions_are_those_of_torchao_itself(name: str) -> None:
    torch.manual_seed(0)
    layers = (nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 10))
    network, x = nn.Sequential(*layers).eval(), spread(300, 64)
    made = copy.deepcopy(network)
    quantize_(made, CONFIGS[name])
    with torch.no_grad():
        expected, plain = made(x), network(x)
    found = run(network, x, preset(name))
    assert torch.equal(found.argmax(1), expected.argmax(1))
    # Nearer by far than what rounding does, which moves some decisions.
    assert (found - expected).abs().max() < 1e-2 * (plain - expected).abs().max()
    assert not torch.equal(plain.argmax(1), expected.argmax(1))


class Mixed(nn.Module):
    """A convolution, a linear layer, a product with a constant on its right, and one of data."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.linear = nn.Linear(64, 32)
        self.right = nn.Parameter(torch.randn(32, 8))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.linear(self.conv(x).flatten(2)) @ self.right
        scores: Tensor = (tokens @ tokens.transpose(1, 2)).flatten(1)
        return scores


def test_linear_layers_alone_along_the_axis_that_is_summed_over() -> None:
    torch.manual_seed(0)
    network, x = Mixed().eval().requires_grad_(False), torch.randn(3, 1, 8, 8)
    shipped = preset("vllm-int8-token")
    assert shipped.activations is not None
    assert shipped.weights is not None
    into = network.conv(x).flatten(2)
    weight = round_shipped(network.linear.weight, shipped.weights)
    hidden = F.linear(round_shipped(into, shipped.activations), weight, network.linear.bias)
    right = round_shipped(network.right.T.contiguous(), shipped.weights).T
    tokens = round_shipped(hidden, shipped.activations) @ right
    expected = (tokens @ tokens.transpose(1, 2)).flatten(1)
    # The products themselves may run through other kernels.
    torch.testing.assert_close(run(network, x, shipped), expected, rtol=1e-5, atol=1e-4)


def test_only_a_shared_scale_lets_batch_mates_matter() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 5)).eval()
    x = spread(8, 32)
    louder = x.clone()
    louder[1:] *= 50
    for name, crosses in (("mxfp4-rceil", False), ("vllm-int8-token", False), ("nvfp4", True)):
        alone, beside = (run(network, batch, preset(name))[0] for batch in (x, louder))
        assert torch.equal(alone, beside) != crosses
        assert preset(name).isolated != crosses


def test_what_is_left_out_stays_in_float_with_its_weights() -> None:
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Linear(32, 50), nn.ReLU(), nn.Linear(50, 5)).eval(), spread(4, 32)
    plan = discover(network, x, EVERYTHING.changed(exclude=("2",)))
    shipped = preset("mxfp4-rceil")
    assert shipped.activations is not None
    attached = Attachment(network, plan)
    found = attached.run(x, Rounding(formats=(shipped,)))
    first, last = network[0], network[2]
    assert isinstance(first, nn.Linear)
    weight = round_shipped(first.weight.detach(), shipped.activations)
    hidden = F.linear(round_shipped(x, shipped.activations), weight, first.bias).relu()
    torch.testing.assert_close(found, last(hidden))
    whole = discover(network, x, EVERYTHING)
    refused = [p.name for p in whole.points if Attachment(network, whole).refuses(shipped, p)]
    assert refused == ["2"]


class SequenceFirst(nn.Module):
    """(batch, tokens, features) run as (tokens, batch, features)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.linear(x.transpose(0, 1)).mean(0)
        return pooled


def test_an_example_has_one_scale_wherever_its_batch_lies() -> None:
    torch.manual_seed(0)
    network, x = (
        SequenceFirst().eval(),
        torch.randn(3, 5, 8) * torch.tensor([1, 9, 90]).view(3, 1, 1),
    )
    numerics = Numerics(element="int4", group="example", scale="amax", divisor=7)
    attached = Attachment(network, discover(network, x, EVERYTHING))
    found = attached.run(x, Rounding(formats=(Format(activations=numerics),), examples=3))
    expected = torch.stack(
        [network.linear(round_shipped(one[None], numerics)[0]).mean(0) for one in x]
    )
    torch.testing.assert_close(found, expected)


def test_weights_alone() -> None:
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Linear(32, 5)).eval(), torch.randn(4, 32)
    shipped = Format(weights=preset("torchao-8da4w").weights)
    assert shipped.weights is not None
    layer = network[0]
    assert isinstance(layer, nn.Linear)
    expected = F.linear(x, round_shipped(layer.weight.detach(), shipped.weights), layer.bias)
    assert torch.equal(run(network, x, shipped), expected)


class Shared(nn.Module):
    """Three layers are given one tensor, the last of them after it has changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Linear(32, 32) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = x * 2
        first = self.one(x) + self.two(x)
        return first + self.three(x.mul_(3))  # type: ignore[no-any-return]


def test_what_several_layers_are_given_is_rounded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network, x, shipped = Shared().eval(), spread(5, 32), preset("vllm-fp8-token")
    assert shipped.activations is not None
    assert shipped.weights is not None
    rounded: list[int] = []

    def counted(given: Tensor, numerics: Numerics) -> Tensor:
        rounded.append(numerics == shipped.activations)
        return round_shipped(given, numerics)

    monkeypatch.setattr("bitcliff.points.attach.round_shipped", counted)
    with torch.no_grad():
        found = run(network, x, shipped)
        once, thrice = (round_shipped(given, shipped.activations) for given in (2 * x, 6 * x))
        one, two, three = (
            F.linear(given, round_shipped(layer.weight, shipped.weights), layer.bias)
            for given, layer in zip(
                (once, once, thrice), (network.one, network.two, network.three), strict=True
            )
        )
    assert torch.equal(found, one + two + three)
    assert sum(rounded) == 2
