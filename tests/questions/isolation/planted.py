"""Networks that keep examples apart, made at random, and the ways in which one may not."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format, preset
from bitcliff.types.subject import Subject

TOKENS, WIDTH, CLASSES = 4, 32, 5
Step = Callable[[Tensor], Tensor]


class Block(nn.Module):
    """A layer with weights, reached and left by one of many ways, which all keep examples apart."""

    def __init__(self, way: int) -> None:
        super().__init__()
        self.way = way
        self.layer = nn.Linear(WIDTH, WIDTH)
        self.filter = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor
        match self.way:
            case 0:  # time first, tokens and examples in one axis
                rows = x.transpose(0, 1).reshape(-1, WIDTH)
                made = self.layer(rows).view(TOKENS, len(x), WIDTH).transpose(0, 1).tanh()
            case 1:  # attention within each example, heads folded into the batch
                heads = x.view(len(x), TOKENS, 4, 8).transpose(1, 2).reshape(-1, TOKENS, 8)
                seen = attended(heads)
                seen = seen.view(len(x), 4, TOKENS, 8).transpose(1, 2).reshape(x.shape)
                made = x + self.layer(seen)
            case 2:
                made = x + self.filter(x.transpose(1, 2)).transpose(1, 2).relu()
            case 3:
                made = F.layer_norm(self.layer(x) + x, (WIDTH,))
            case 4:  # over the tokens of each example
                made = self.layer(x).cumsum(1) / TOKENS * x.softmax(1)
            case _:  # windows of two tokens as examples of their own
                windows = x.reshape(-1, 2, WIDTH)
                made = (self.layer(windows) - windows.mean(1, keepdim=True)).reshape(x.shape)
        return made


def attended(x: Tensor) -> Tensor:
    """To itself, along the last axis but one."""
    return F.scaled_dot_product_attention(x, x, x)


def _row_of_all(x: Tensor) -> Tensor:
    """Scaled in a row that the batch lies in."""
    row = x.permute(1, 2, 0).reshape(TOKENS, -1)
    row = row / row.abs().amax(1, keepdim=True)
    return row.view(TOKENS, WIDTH, -1).permute(2, 0, 1)


def _range_of_all(x: Tensor) -> Tensor:
    """A range over the batch, as an integer kernel of one's own would take it."""
    low, high = x.aminmax()
    step = (high - low) / 255
    return ((x - low) / step).round() * step + low


def _zero_point_of_all(x: Tensor) -> Tensor:
    step = x.abs().amax((1, 2), keepdim=True) / 100
    zero = x.amin() / step
    return ((x / step - zero).round().clamp(0, 255) + zero) * step


def _outliers_of_all(x: Tensor) -> Tensor:
    """What is an outlier in one example is left as it is in all, all else made smaller."""
    outliers = x.abs() > 2 * x.abs().mean((1, 2), keepdim=True)
    return x * (0.5 + outliers.any(0))


def _in_place(x: Tensor) -> Tensor:
    made = x.clone()
    made[1:, 0] += 0.5 * made[:-1, 0]
    made[:1, 0] += 0.5 * x[-1:, 0]
    return made


def _by_value(x: Tensor) -> Tensor:
    return x * 0.5 if int(x.flatten(1).amax(1).argmax()) else x


def _past_torch(x: Tensor) -> Tensor:
    return x - torch.from_numpy(x.numpy().mean(0))


LEAKS: dict[str, Step] = {
    "mean over the batch": lambda x: x - x.mean(0),
    "batch norm in training": lambda x: F.batch_norm(x.transpose(1, 2), None, None, training=True)
    .transpose(1, 2),
    "softmax over the batch": lambda x: x * x.softmax(0),
    "attention over the batch": lambda x: attended(x.transpose(0, 1)).transpose(0, 1),
    "cumulative over the batch": lambda x: x + 0.1 * (x.cumsum(0) + x.flip(0).cumsum(0)),
    "product over the batch": lambda x: x @ (x.flatten(0, 1).T @ x.flatten(0, 1)).tanh(),
    "reshape that puts the batch into the row": _row_of_all,
    "outlier mask over the batch": _outliers_of_all,
    "range over the batch": _range_of_all,
    "zero point over the batch": _zero_point_of_all,
    "neighbours in place": _in_place,
    "sorted": lambda x: x + x.sort(0).values,
    "way by value": _by_value,
    "past torch": _past_torch,
}  # fmt: skip
TOLD_BY_WORDS = ("way by value", "past torch")
"""What becomes of the values cannot be seen; that it cannot is said."""

_EXAMPLE = Numerics(element="int8", group="example", scale="amax", divisor=127)
_SHARING = {
    "one scale a batch": Format(activations=_EXAMPLE.model_copy(update={"group": "batch"})),
    "one zero point a batch": preset("ort-uint8"),
    "blocks below one scale": preset("nvfp4"),
    "one float scale a batch": preset("torchao-fp8-tensor"),
}
_ISOLATED = {
    "example": Format(activations=_EXAMPLE, everywhere=True),
    "channel": Format(activations=_EXAMPLE.model_copy(update={"group": "channel"})),
    **{
        name: preset(name)
        for name in ("vllm-int8-token", "mxfp8-rceil", "mxfp4-even", "vllm-fp8-token", "gguf-q8_0")
    },
}


class Net(nn.Module):
    """Blocks in a row; after one of them something may happen that keeps examples not apart."""

    def __init__(self, ways: list[int], leak: Step | None = None, after: int = -1) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(way) for way in ways])
        self.head = nn.Linear(WIDTH, CLASSES)
        self.leak, self.after = leak, after

    def forward(self, x: Tensor) -> Tensor:
        for place, block in enumerate(self.blocks):
            x = block(x)
            if place == self.after and self.leak is not None:
                x = self.leak(x)
        scores: Tensor = self.head(x).mean(1)
        return scores


@dataclass(frozen=True)
class Case:
    """A network in a format.

    Attributes:
        leak: in words; empty where there is none. after: behind which block, where the network
            leaks; None where the format does, at every point.
    """

    subject: Subject
    name: str
    shipped: Format
    inputs: Tensor
    leak: str = ""
    after: int | None = None


def clean(number: int) -> Case:
    """Without a leak."""
    return _case(number, "", None)


def leaking(number: int) -> Case:
    """With one: every kind in turn, at a random place."""
    kinds = [*LEAKS, *_SHARING]
    kind = kinds[number % len(kinds)]
    return _case(number, kind, LEAKS.get(kind))


def _case(number: int, kind: str, leak: Step | None) -> Case:
    dice = torch.Generator().manual_seed(number)
    torch.manual_seed(number)

    def drawn(below: int) -> int:
        return int(torch.randint(below, (1,), generator=dice))

    # A linear layer comes first: formats of linear layers alone must have a point before the leak.
    ways = [0, *(drawn(6) for _ in range(1 + drawn(3)))]
    after = drawn(len(ways))
    formats = {kind: _SHARING[kind]} if kind in _SHARING else _ISOLATED
    name = [*formats][drawn(len(formats))]
    module = Net(ways, leak, after)
    return Case(
        make_subject(kind or "clean", module, None, None),
        name,
        formats[name],
        torch.randn(3, TOKENS, WIDTH, generator=dice),
        kind,
        after if leak is not None else None,
    )
