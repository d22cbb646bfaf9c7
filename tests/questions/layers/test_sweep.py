"""The sweep over cells: the same as running each by itself, to the bit, for half of the work."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.inputs import laid_out_for_speed
from bitcliff.points import Attachment, Selection, discover
from bitcliff.questions.layers.cells import NOTHING, Cell, curves
from bitcliff.questions.layers.sweep import Sweep
from bitcliff.types.subject import Inputs
from bitcliff.zoo.resnet import ThinResNet
from tests.points.networks import (
    InPlaceBlock,
    SmallConvNet,
    WindowAttention,
    frozen,
    images,
    on_tokens,
    tokens,
)
from tests.small_networks import chain


def evaluator_of(model: nn.Module, inputs: Inputs, **selection: Any) -> Evaluator:
    """Batches of three, so that the last of five examples' is padded."""
    model = model.eval().requires_grad_(False)
    plan = discover(model, inputs, Selection(**selection))
    return Evaluator(Attachment(model, plan, "onnx"), inputs, 3)


def random_bits(evaluator: Evaluator, n: int) -> Tensor:
    points = len(evaluator.attachment.plan)
    return torch.randint(2, 7, (n, points), generator=torch.Generator().manual_seed(1))


def gathered(sweep: Sweep) -> dict[Cell, tuple[Tensor, tuple[str | None, ...]]]:
    found: dict[Cell, tuple[list[Tensor], list[str | None]]] = {}
    for cell, scores in sweep.run():
        logits, failed = found.setdefault(cell, ([], []))
        logits.append(scores.logits)
        failed += scores.failed_at
    return {cell: (torch.cat(logits), tuple(failed)) for cell, (logits, failed) in found.items()}


def check_against_naive(evaluator: Evaluator, n: int, every: int = 1) -> Sweep:
    """Every cell (or every so many), by itself through the plain attachment, is the same."""
    bits = random_bits(evaluator, n)
    sweep = Sweep(evaluator, bits)
    found = gathered(sweep)
    ways = curves(bits.shape[1])
    for cell in ways.distinct[::every]:
        alone = evaluator.scores(torch.arange(n), bits, cell)
        assert torch.equal(alone.logits.view(torch.int32), found[cell][0].view(torch.int32)), (
            sorted(cell)
        )
        assert alone.failed_at == found[cell][1]
    assert found.keys() == set(ways.distinct)
    return sweep


class Twice(nn.Module):
    """One layer used twice, a product of activations, and results changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(self.stem(x).mul_(1.5)).add_(0.5).relu_())
        x = torch.baddbmm(x, x @ x.mT, x)
        x.add_(1).mul_(0.5)
        return self.head(x.mean(1))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """A transformer's layer, of tokens given by name and with a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 16)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, 24, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(16, 4)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=mask == 0)
        return self.head(x[:, 0])  # type: ignore[no-any-return]


def text() -> Inputs:
    ids = torch.randint(0, 11, (5, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(5, 6)
    mask[1::2, 4:] = 0
    return {"ids": ids, "mask": mask}


def attention(self: Any, x: Tensor) -> Tensor:
    parts = (part(x).view(len(x), 6, 2, 8).transpose(1, 2) for part in (self.q, self.k, self.v))
    return F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)


def fused() -> nn.Module:
    q, k, v = (nn.Linear(16, 16) for _ in range(3))
    return on_tokens(attention, q=q, k=k, v=v)


def small_resnet() -> nn.Module:
    torch.manual_seed(0)
    return ThinResNet(widths=(4, 6, 8, 10)).eval()


def in_place_convolutions() -> nn.Module:
    return frozen(SmallConvNet(lambda: nn.ReLU(inplace=True)))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Inputs]]] = {
    "perceptron": (lambda: chain(points=4, inputs=16), lambda: tokens(5)[:, 0]),
    "residual": (lambda: frozen(InPlaceBlock()), lambda: images(5)),
    "in place": (in_place_convolutions, lambda: images(5)),
    "windows": (lambda: frozen(WindowAttention()), lambda: tokens(5)),
    "fused attention": (fused, lambda: tokens(5)),
    "encoder": (lambda: frozen(Encoder()), text),
    "twice": (lambda: frozen(Twice()), lambda: tokens(5)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_the_naive_sweep(name: str) -> None:
    model, inputs = NETWORKS[name]
    check_against_naive(evaluator_of(model(), inputs()), 5)


@pytest.mark.parametrize("name", ["perceptron", "residual", "in place"])
def test_equals_the_naive_sweep_where_outputs_are_the_points(name: str) -> None:
    model, inputs = NETWORKS[name]
    check_against_naive(evaluator_of(model(), inputs(), points="outputs"), 5)


@pytest.mark.parametrize(
    "layout", [laid_out_for_speed, pytest.param(lambda inputs: inputs, marks=pytest.mark.slow)]
)
def test_a_resnets_sweep_takes_half_the_work(layout: Callable[[Inputs], Inputs]) -> None:
    evaluator = evaluator_of(small_resnet(), layout(images(3, 8, 1)))
    sweep = check_against_naive(evaluator, 3)
    # 21 calls a pass, one of them the stem, which runs once.
    assert sweep.naive.calls == 4 * 20 * 21
    assert sweep.work.calls == 1 + calls_by_hand(20)
    assert sweep.work.calls <= 0.6 * sweep.naive.calls
    assert 0 < sweep.work.macs <= 0.6 * sweep.naive.macs


def calls_by_hand(points: int) -> int:
    """Of all cells: every distinct beginning of a pass runs once."""
    beginnings = set[tuple[bool, ...]]()
    for cell in curves(points).distinct:
        quantized = tuple(index in cell for index in range(points))
        beginnings |= {quantized[: end + 1] for end in range(points)}
    return len(beginnings)


def test_another_networks_sweep_takes_half_the_work() -> None:
    sweep = check_against_naive(evaluator_of(chain(points=8, inputs=16), tokens(5)[:, 0]), 5)
    assert sweep.work.calls <= 0.6 * sweep.naive.calls
    assert 0 < sweep.work.macs <= 0.6 * sweep.naive.macs


class Early(nn.Module):
    """Infinite from the first point on where the input's first value is above one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        infinite = torch.where(x[:, :1] > 1, torch.inf, self.stem(x))
        return self.c(self.b(self.a(infinite)))  # type: ignore[no-any-return]


def test_numeric_failures_are_replayed_too() -> None:
    x = images(5, 2, 1).flatten(1).clamp(max=0.9)
    x[1, 0] = 2.0
    evaluator = evaluator_of(frozen(Early()), x)
    check_against_naive(evaluator, 5)
    found = gathered(Sweep(evaluator, torch.full((5, 3), 4)))
    # In float it shows at the output; quantized, at the first point that looks.
    assert found[NOTHING][1] == (None, "output", None, None, None)
    assert found[frozenset({0, 1})][1] == (None, "a", None, None, None)
    assert found[frozenset({1, 2})][1] == (None, "b", None, None, None)


def test_efficientnet_on_two_images() -> None:
    from bitcliff.adapters import load_examples, load_model

    subject = load_model("efficientnet-lite0")
    inputs = load_examples("imagenet-20", subject=subject, limit=2).inputs
    assert isinstance(inputs, Tensor)
    inputs = laid_out_for_speed(inputs[:, :, ::7, ::7].contiguous())
    # One point a block, to be done sooner.
    evaluator = evaluator_of(subject.module, inputs, include=("*_project_conv", "_fc"))
    sweep = check_against_naive(evaluator, 2, every=3)
    assert sweep.work.calls <= 0.6 * sweep.naive.calls
    assert 0 < sweep.work.macs <= 0.6 * sweep.naive.macs
