"""Operands changed before they are rounded: against the formulas written out in numpy."""

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard
from torch import Tensor, nn

from bitcliff.points import Attachment, discover
from bitcliff.points.attach import Rounding
from bitcliff.points.balance import operands_of, rotated, smoothed
from bitcliff.types.presets import preset
from bitcliff.types.settings import Selection

EVERYTHING = Selection(include_stem=True)
INT8 = preset("vllm-int8-token")


class Product(nn.Module):
    """The same layer as a product with a constant on its right."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.T.contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def layer(channels: int) -> tuple[Tensor, Tensor]:
    """Inputs with one channel far larger than the others, and weights."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, channels, generator=generator)
    x[:, 3] *= 300
    weight = torch.randn(10, channels, generator=generator)
    weight[:, 3] /= 300
    return x, weight


def int8(rows: np.ndarray) -> np.ndarray:
    """By row, symmetric: the formula of vLLM for activations, true division for weights."""
    scale = np.abs(rows).max(1, keepdims=True) / np.float32(127)
    return np.asarray(np.clip(np.rint(rows / scale), -127, 127) * scale)


def changed(x: np.ndarray, weight: np.ndarray, way: str) -> tuple[np.ndarray, np.ndarray]:
    if way == "smoothed":
        s = np.abs(x).max(0) ** 0.5 / np.abs(weight).max(0) ** 0.5
        return x / s, weight * s
    size = x.shape[1] & -x.shape[1]
    matrix = np.kron(np.eye(x.shape[1] // size), hadamard(size) / size**0.5)
    return x @ matrix, weight @ matrix


@pytest.mark.parametrize("network", ["linear", "product"])
@pytest.mark.parametrize(("way", "channels"), [("smoothed", 24), ("rotated", 24), ("rotated", 64)])
def test_what_is_rounded_is_what_the_formula_says(network: str, way: str, channels: int) -> None:
    x, weight = layer(channels)
    model: nn.Module = (
        nn.Linear(channels, 10, bias=False) if network == "linear" else Product(weight)
    )
    if isinstance(model, nn.Linear):
        model.weight = nn.Parameter(weight)
    model.eval()
    plan = discover(model, x, EVERYTHING)
    attachment = Attachment(model, plan)
    in_format = Rounding(formats=(INT8,), examples=len(x))
    with torch.no_grad():
        plain, before = model(x), attachment.run(x, in_format)
        seen = operands_of(model, plan, [plan.points[0].site], [x[:20], x[20:]])
        calls = smoothed(seen) if way == "smoothed" else rotated(seen)
        with attachment.balanced(calls):
            found = attachment.run(x, in_format)
            in_float = attachment.run(x, Rounding(formats=(None,), examples=len(x)))
        after = attachment.run(x, in_format)
    a, b = changed(x.double().numpy(), weight.double().numpy(), way)
    expected = int8(a) @ int8(b).T
    # Where float32 falls on the other side of a tie a value moves by a step; few do.
    apart = np.abs(found.numpy() - expected) / np.abs(expected).max()
    assert np.quantile(apart, 0.9) < 1e-4
    assert torch.allclose(in_float, plain, rtol=1e-4, atol=1e-4 * float(plain.abs().max()))
    assert torch.equal(after, before)
    worse, better = ((one - plain).square().mean() for one in (before, found))
    assert better < worse / 1.5


def test_a_layer_that_no_power_of_two_divides_is_not_rotated() -> None:
    x, weight = layer(21)
    model = Product(weight).eval()
    plan = discover(model, x, EVERYTHING)
    seen = operands_of(model, plan, [plan.points[0].site], [x])
    assert not rotated(seen)
    assert len(smoothed(seen)) == 1


def test_a_product_of_two_activations_is_left_alone() -> None:
    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ x.transpose(-1, -2)

    model, x = Square().eval(), torch.randn(4, 8, 8)
    plan = discover(model, x, EVERYTHING)
    assert not operands_of(model, plan, [point.site for point in plan.points], [x])
