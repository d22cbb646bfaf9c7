"""Points of real networks: what is found, what is missed, and that neither is silent."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.points import Selection, discover


def images(size: int, n: int = 3, channels: int = 3) -> Tensor:
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(0))


def timm_model(name: str, **settings: Any) -> nn.Module:
    import timm

    torch.manual_seed(0)
    model: nn.Module = timm.create_model(name, num_classes=10, **settings).eval()
    return model


class Functional(nn.Module):
    """Convolution, products and a reused layer without a module for each."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 8, 3, 3))
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.twice = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = F.conv2d(x, self.kernel, padding=1).relu()
        x = self.twice(self.twice(x).relu())
        tokens = x.flatten(2).transpose(1, 2)
        scores = tokens @ tokens.transpose(1, 2) / 64
        mixed = torch.einsum("bij,bjk->bik", scores.softmax(-1), tokens)
        logits: Tensor = self.head(torch.baddbmm(mixed, scores, tokens).mean(1))
        return logits


def test_resnet18_has_the_papers_twenty_points() -> None:
    plan = discover(timm_model("resnet18"), images(64))
    assert len(plan) == 20
    assert [p.kind for p in plan.points].count("conv2d") == 19
    assert plan.points[-1].name == "fc"
    assert [p.name for p in plan.seen if not p.quantized] == ["conv1"]
    assert not plan.missed


def test_multiply_adds_are_those_of_the_operations_counter() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model, x = timm_model("resnet18"), images(224, 2)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    plan = discover(model, x)
    assert sum(p.macs for p in plan.seen) == counter.get_total_flops() // 2 // 2
    # The published count for ResNet18 at 224 px is 1.81 G with a classifier of a thousand classes.
    assert sum(p.macs for p in plan.seen) == pytest.approx(1.81e9, rel=0.01)


def test_functional_calls_and_reuse_are_named() -> None:
    plan = discover(Functional().eval(), images(8))
    assert not plan.missed
    found = [p.name for p in plan.points]
    assert found[1:3] == ["twice", "twice@2"]
    assert {"matmul:lhs", "matmul:rhs", "einsum:lhs", "einsum:rhs", "head"} <= set(found)
    assert len(found) == len(set(found)) == 1 + 2 + 2 + 2 + 2 + 1


@pytest.mark.parametrize("fused", [True, False])
def test_attention_has_the_same_points_fused_or_not(fused: bool) -> None:
    model = timm_model("vit_tiny_patch16_224", depth=2)
    for block in model.blocks:  # type: ignore[union-attr]
        block.attn.fused_attn = fused
    plan = discover(model, images(224, 2))
    assert not plan.missed
    # Each block: four linear layers, and four operands of the two products of attention.
    assert len(plan) == 2 * (4 + 4) + 1
    assert [p.name for p in plan.seen if not p.quantized] == ["patch_embed.proj"]


def test_windows_folded_into_the_batch_are_no_batch() -> None:
    model = timm_model(
        "swin_tiny_patch4_window7_224", depths=(1, 1), embed_dim=24, num_heads=(2, 2)
    )
    plan = discover(model, images(224, 2))
    assert not plan.missed
    assert max(p.layout.group for p in plan.points) == (56 // 7) ** 2


@pytest.mark.parametrize("batch_first", [True, False])
def test_multi_head_attention_and_its_batch_axis(batch_first: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(6, 8)
            self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first, dropout=0.0)
            self.head = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.embed(x)
            tokens = tokens if batch_first else tokens.transpose(0, 1)
            out: Tensor = self.head(self.block(tokens).mean(1 if batch_first else 0))
            return out

    x = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(1))
    plan = discover(Net().eval(), x)
    assert not plan.missed
    # In-projection, attention's four operands, out-projection, two layers, the head.
    assert len(plan) == 1 + 4 + 1 + 2 + 1
    linear = [p for p in plan.points if p.name.startswith("block.linear")]
    assert {p.layout.axis for p in linear} == {0 if batch_first else 1}


def test_hugging_face_networks_with_named_inputs() -> None:
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
    )
    model: nn.Module = BertForSequenceClassification(config).eval()  # type: ignore[no-untyped-call]
    tokens = torch.randint(5, 40, (3, 7), generator=torch.Generator().manual_seed(0))
    plan = discover(model, {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)})
    assert not plan.missed
    # A layer: query, key, value, output, two of the feed-forward, four of attention. Tokens are no
    # image, so nothing is left out as a stem.
    assert len(plan) == len(plan.seen) == 2 * 10 + 2


class Recurrent(nn.Module):
    def __init__(self, core: nn.Module) -> None:
        super().__init__()
        self.core = core
        self.embed, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out = self.core(self.embed(x))
        out = out[0] if isinstance(out, tuple) else out
        logits: Tensor = self.head(out.mean(1))
        return logits


# TorchScript is on its way out, but users' models still hold it.
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["traced", "cdist"])
def test_what_cannot_be_opened_is_named_never_passed(kind: str) -> None:
    class Distances(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(x, x, compute_mode="use_mm_for_euclid_dist")[..., :4]

    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    core: nn.Module = {
        "cdist": Distances,
        "traced": lambda: torch.jit.trace(nn.Linear(4, 4).eval(), x),
    }[kind]()
    plan = discover(Recurrent(core).eval(), x)
    assert plan.missed, kind
    assert {"head"} <= {p.name for p in plan.points}


def test_a_network_whose_examples_depend_on_each_other_is_missed() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Conv2d(4, 4, 3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    ).eval()  # fmt: skip
    with pytest.raises(InputError, match="batch-mates"):
        discover(model, images(12))


def test_outputs_are_those_of_activation_functions() -> None:
    plan = discover(timm_model("resnet18"), images(64), Selection(points="outputs"))
    assert len(plan) == 17
    assert {p.kind for p in plan.points} == {"relu"}
    assert not plan.missed


def test_training_mode_and_a_single_example_are_refused() -> None:
    model = timm_model("resnet18")
    with pytest.raises(InputError, match="two examples"):
        discover(model, images(64, 1))
    with pytest.raises(InputError, match=r"model.eval\(\)"):
        discover(model.train(), images(64))
