"""One weight scale for each output channel: no two outputs share one, whatever the layer."""

from collections.abc import Callable, Sequence
from itertools import product

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bitcliff.points import Attachment, Selection, discover
from bitcliff.points.attach import WEIGHTS_ONLY
from bitcliff.quant import fake_quantize_weight

BITS = 4


def noise(*shape: int) -> Tensor:
    """Of very unequal scale along every axis but the last two, and along the last."""
    torch.manual_seed(len(shape))
    x = torch.randn(shape)
    for axis in {0, 1, len(shape) - 1}:
        x *= (3.0 ** torch.arange(shape[axis])).view(-1, *[1] * (len(shape) - 1 - axis))
    return x


def rounded(w: Tensor, cells: Sequence[Sequence[int | slice]]) -> Tensor:
    """Each cell with a scale of its own, one after the other."""
    found = w.clone()
    for cell in cells:
        part = w[tuple(cell)]
        scale = part.abs().max() / (2 ** (BITS - 1) - 1)
        found[tuple(cell)] = (part / scale).round() * scale
    return found


class Layer(nn.Module):
    """A network of one product with a constant."""

    def __init__(self, weight: Tensor, call: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.weight, self.call = nn.Parameter(weight), call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x, self.weight).flatten(1)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_of_a_transposed_convolution_each_group_has_its_own(dims: int, groups: int) -> None:
    weight, x = noise(4, 3, *[3] * dims), torch.randn(3, 4, *[5] * dims)
    convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[dims - 1]
    each = 4 // groups
    cells = [
        (slice(each * group, each * group + each), channel)
        for group, channel in product(range(groups), range(3))
    ]
    expected = convolve(x, rounded(weight, cells), groups=groups).flatten(1)
    ones, zeros = [1] * dims, [0] * dims
    for call in (
        lambda x, w: convolve(x, w, groups=groups),
        lambda x, w: convolve(x, w, None, 1, 0, 0, groups),
        lambda x, w: torch.convolution(x, w, None, ones, zeros, ones, True, zeros, groups),
        lambda x, w: torch.convolution(
            x, w, None, ones, zeros, ones, transposed=True, output_padding=zeros, groups=groups
        ),
    ):
        assert torch.allclose(weights_rounded(Layer(weight, call), x), expected, rtol=1e-5)


def test_of_a_convolution_that_is_not_transposed_each_output_has_its_own() -> None:
    weight, x = noise(4, 2, 3), torch.randn(3, 4, 5)
    expected = F.conv1d(x, rounded(weight, [[channel] for channel in range(4)]), groups=2)
    layer = Layer(weight, lambda x, w: torch.convolution(x, w, None, [1], [0], [1], False, [0], 2))
    assert torch.allclose(weights_rounded(layer, x), expected.flatten(1), rtol=1e-5)


STACK = noise(3, 4, 5)
OF_STACKS: dict[str, tuple[Tensor, Callable[[Tensor, Tensor], Tensor], Tensor]] = {
    "right": (torch.randn(2, 3, 6, 4), torch.matmul, STACK),
    "left": (torch.randn(2, 3, 5, 6), lambda x, w: w @ x, STACK),
    "bmm": (torch.randn(2, 3, 4), lambda x, w: (x.transpose(0, 1).bmm(w)).transpose(0, 1), STACK),
    "deep": (torch.randn(2, 2, 3, 6, 4), torch.matmul, noise(2, 3, 4, 5)),
    "one matrix": (torch.randn(2, 3, 4), torch.matmul, noise(4, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_STACKS)
def test_of_stacked_matrices_each_has_its_own(name: str) -> None:
    x, call, weight = OF_STACKS[name]
    *stack, rows, columns = weight.shape
    matrices = [list(place) for place in product(*map(range, stack))]
    cells: list[list[int | slice]] = (
        [[*place, row] for place in matrices for row in range(rows)]
        if name == "left"
        else [[*place, slice(None), column] for place in matrices for column in range(columns)]
    )
    expected = call(x, rounded(weight, cells)).flatten(1)
    assert torch.allclose(weights_rounded(Layer(weight, call), x), expected, rtol=1e-4, atol=1e-3)


def weights_rounded(layer: nn.Module, x: Tensor) -> Tensor:
    plan = discover(layer.eval(), x, Selection(include_stem=True))
    with torch.no_grad():
        return Attachment(layer, plan, "onnx", BITS, per_channel=True).run(x, WEIGHTS_ONLY)


def test_a_stack_is_rounded_as_torchao_rounds_it() -> None:
    quantization = pytest.importorskip("torchao.quantization")
    weight = noise(3, 10, 8)  # a row here is an output channel there
    theirs = quantization.Int8Tensor.from_hp(weight, granularity=quantization.PerRow())
    assert theirs.scale.shape == (3, 10, 1)
    step = theirs.scale
    ours = fake_quantize_weight(weight, 8, (0, 1))
    # Its grid has one level more, below zero: a step is wider by 127.5 to 127 at most.
    assert ((ours - theirs.dequantize()).abs() <= 1.1 * step).all()
    assert torch.allclose(step, weight.abs().amax(-1, keepdim=True) / 127, rtol=0.01)
