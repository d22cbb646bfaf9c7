"""Which examples a value was made of: never fewer than changing an example shows, kernel by kernel,
and no more than it is on networks that keep examples apart."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bitcliff.points.owners import Owners

Network = Callable[[Tensor], Tensor]
B, T, D = 3, 4, 6
_DICE = torch.Generator().manual_seed(0)
W, KERNEL, FILTER = (torch.randn(*size, generator=_DICE) for size in ((5, D), (8, 2, 3), (6, 4, 3)))
TABLE = torch.randn(50, 5, generator=_DICE)


def in_place(x: Tensor) -> Tensor:
    """Written through a view of a view."""
    made = torch.zeros(B, T, D)
    made.transpose(0, 1)[1:, :, 2] = x[:, 1:, 0].T
    made[:, 0].add_(x[:, 1])
    return made


def attended(x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(x, x, x)


def as_other_type(x: Tensor) -> Tensor:
    return x.contiguous().view(torch.int32).bitwise_and(-2).view(torch.float32)


KEEPING_APART: dict[str, Network] = {
    "pointwise": lambda x: (x.relu() + x.sin() * 2).clamp(-1, 1).round(),
    "chosen": lambda x: torch.where(x > 0, x, x.abs().log1p()).masked_fill(x < -1, 0.0),
    "activations": lambda x: F.hardswish(x) + F.gelu(x) + F.mish(x) + F.softplus(x) + F.elu(x),
    "linear": lambda x: F.linear(x, W, W[:, 0]),
    "matmul": lambda x: x @ x.transpose(1, 2),
    "weights first": lambda x: W @ x.transpose(1, 2),
    "einsum": lambda x: torch.einsum("btd,bsd->bts", x, x),
    "attention": lambda x: F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None]),
    "masked attention": lambda x: F.scaled_dot_product_attention(
        x[:, None], x[:, None], x[:, None], attn_mask=x[:, None, :, :1] @ x[:, None, :, :1].mT
    ),
    "reductions": lambda x: x.sum(2) + x.amax(2) + x.var(2) + x.argmax(2) + x.logsumexp(-1),
    "softmax": lambda x: x.softmax(2) + x.log_softmax(1) + x.cumsum(1),
    "sorting": lambda x: x.sort(2).values[..., :2] + x.topk(2, dim=2).values,
    "layer norm": lambda x: F.layer_norm(x, (D,), x.new_ones(D)) + F.rms_norm(x, (D,)),
    "group norm": lambda x: F.group_norm(x.transpose(1, 2), 3),
    "batch norm, fixed": lambda x: F.batch_norm(x, x.new_zeros(T), x.new_ones(T)),
    "convolution": lambda x: F.conv1d(x.repeat(1, 1, 2), KERNEL, groups=2, padding=2),
    "strided convolution": lambda x: F.conv1d(x, FILTER[:, :, :2], stride=2, dilation=2, padding=1),
    "transposed convolution": lambda x: F.conv_transpose1d(x, FILTER.transpose(0, 1), stride=2),
    "pools": lambda x: F.max_pool1d(x, 2) + F.avg_pool1d(x, 2) + F.adaptive_avg_pool1d(x, 3),
    "upsampled": lambda x: F.interpolate(x, 9) + F.interpolate(x, 9, mode="linear"),
    "moved": lambda x: torch.cat([x.flip(1), x.roll(1, 2), F.pad(x, (1, -1)), x.tril()], 1),
    "indexed": lambda x: x[:, [2, 0, 0]] + x[:, x.new_ones(3).long()],
    "looked up": lambda x: F.embedding((x * 10).long().clamp(0, 49), TABLE),
    "folded": lambda x: F.linear(x.transpose(0, 1).reshape(-1, D), W).view(T, B, 5).transpose(0, 1),
    "time first": lambda x: x.transpose(0, 1).contiguous().cumsum(0).transpose(0, 1),
    "in place": in_place,
    "split": lambda x: torch.cat(x.chunk(2, 2)[::-1], 2) + torch.stack(x.unbind(1), 1),
    "glu": lambda x: F.glu(x, 2),
    "onto itself": lambda x: (copied := x.clone()).copy_(copied),
    "half": lambda x: x.half().mul(2).float(),
}  # fmt: skip
MIXING: dict[str, Network] = {
    "mean": lambda x: x - x.mean(0),
    "softmax": lambda x: x.softmax(0),
    "batch norm": lambda x: F.batch_norm(x, None, None, training=True),
    "gram": lambda x: x @ (x.flatten(0, 1).T @ x.flatten(0, 1)),
    "attention": lambda x: attended(x.transpose(0, 1)),
    "rolled": lambda x: x + x.roll(1, 0),
    "sorted": lambda x: x.sort(0).values,
    "cumulative": lambda x: x.cumsum(0),
    "gathered": lambda x: x[x[:, 0, 0].argsort()],
    "whole": lambda x: x / x.norm(),
    "row of all": lambda x: F.layer_norm(x.permute(1, 2, 0).reshape(T, -1), (B * D,)),
    "filtered over": lambda x: F.conv1d(x.permute(1, 2, 0), torch.ones(2, D, 2), padding=1),
    "any": lambda x: x * (x.abs() > 1).any(0),
    "another type": lambda x: as_other_type(x) + x.roll(2, 0),
    "shifted in place": lambda x: x.clone().index_add_(0, torch.tensor([0, 1]), x[1:]),
    "unknown": lambda x: torch.linalg.inv(x[:, :3, :3]),
}  # fmt: skip


def followed(network: Network, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Owners]:
    owners = Owners(B)
    given = x.clone()
    with torch.no_grad():
        owners.mark([given])
        with owners:
            result = network(given)
    ends = owners.of(result)
    assert ends is not None
    return result, B - ends[0], ends[1] - 1, owners


def changed(network: Network, x: Tensor, example: int, size: float) -> Tensor:
    other = x.clone()
    other[example] = torch.randn(x.shape[1:], generator=_DICE) * size
    before, after = network(x.clone()), network(other)
    return ~torch.isclose(before.float(), after.float(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", [*KEEPING_APART, *(f"mixing: {name}" for name in MIXING)])
def test_an_example_that_can_change_a_value_is_among_its_owners(name: str) -> None:
    kind, _, rest = name.partition("mixing: ")
    network = KEEPING_APART[kind] if kind else MIXING[rest]
    x = torch.randn(B, T, D, generator=_DICE)
    result, first, last, _ = followed(network, x)
    assert first.shape == result.shape
    seen = 0
    for example in range(B):
        for size in (1.0, 100.0):
            other = changed(network, x, example, size)
            seen += int(other.sum())
            assert bool(((first <= example) & (example <= last))[other].all())
    assert seen


@pytest.mark.parametrize("name", KEEPING_APART)
def test_examples_kept_apart_are_seen_to_be(name: str) -> None:
    result, first, last, owners = followed(
        KEEPING_APART[name], torch.randn(B, T, D, generator=_DICE)
    )
    assert not owners.lost
    assert not owners.unknown
    place = torch.arange(B).view(B, *[1] * (result.ndim - 1)).expand(result.shape)
    owned = last >= 0
    assert torch.equal(first[owned], place[owned].float())
    assert torch.equal(last[owned], place[owned].float())
    assert name == "moved" or name == "in place" or bool(owned.all())


@pytest.mark.parametrize("name", MIXING)
def test_examples_that_are_mixed_are_seen_to_be(name: str) -> None:
    _, first, last, owners = followed(MIXING[name], torch.randn(B, T, D, generator=_DICE))
    assert bool((first < last).any())
    assert bool(owners.unknown) == (name in ("unknown", "shifted in place", "gathered"))


class Keeping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("state", torch.zeros(D))

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(self.state, Tensor)
        return x + self.state.copy_(x[0, 0])


def by_value(x: Tensor) -> Tensor:
    return x * 2 if x.max() > 1 else x


def test_what_cannot_be_followed_is_told() -> None:
    x = torch.randn(B, T, D, generator=_DICE)
    assert followed(by_value, x)[3].lost == [
        "the network: _local_scalar_dense: the network reads a value and may go on by it"
    ]
    module = Keeping()
    owners = Owners(B, module.buffers())
    with torch.no_grad():
        owners.mark([x])
        with owners:
            module(x)
    (told,) = owners.lost
    assert "written into what the network keeps" in told
    assert followed(lambda x: x[x > 0], x)[3].lost
    by_size = followed(lambda x: x.repeat_interleave((x[:, 0, 0] > 0).long() + 1, 0), x)
    assert by_size[3].lost
    assert followed(lambda x: x.unique(), x)[3].lost
    assert not followed(lambda x: x.repeat_interleave(2, 1), x)[3].lost


def test_what_no_example_is_in_has_no_owner() -> None:
    owners = Owners(B)
    x = torch.randn(B, T, D, generator=_DICE)
    with torch.no_grad():
        owners.mark([x])
        with owners:
            made = torch.zeros_like(x) + torch.ones(x.shape)
            overwritten = x.clone().fill_(2.0)
    for tensor in (made, overwritten):
        ends = owners.of(tensor)
        assert ends is None or not bool(ends[1].any())


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"]
)
def test_real_networks_keep_images_apart(name: str) -> None:
    import timm

    torch.manual_seed(0)
    size: dict[str, Any] = {"img_size": 64} if "resnet" not in name else {}
    model = timm.create_model(name, num_classes=10, **size).eval()
    _, first, last, owners = followed(model, torch.randn(B, 3, 64, 64, generator=_DICE))
    assert not owners.lost
    assert not owners.unknown
    place = torch.arange(B)[:, None].expand(B, 10).float()
    assert torch.equal(first, place)
    assert torch.equal(last, place)
