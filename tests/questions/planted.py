"""Networks that lose everything at points chosen beforehand, and a side of data for them."""

from collections.abc import Collection
from typing import Literal

import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings
from bitcliff.audit.from_python import own_subject
from bitcliff.audit.prepare import prepare
from bitcliff.questions.context import Side
from bitcliff.types.subject import Examples


class Planted(nn.Module):
    """The class is the largest of four values 0 to 3, which any number of bits holds.

    At the planted points a fifth value is beside them, a thousand times as large and of no use: a
    grid over that range rounds all others to zero, and class 0 is what is left.
    """

    def __init__(self, points: int, places: Collection[int], peak: float = 1000.0) -> None:
        super().__init__()
        self.peak = peak
        self.stem = nn.Linear(4, 4, bias=False)
        widths = [5 if place in places else 4 for place in range(points)]
        self.layers = nn.ModuleList(nn.Linear(width, 4, bias=False) for width in widths)
        with torch.no_grad():
            for layer in (self.stem, *self.layers):
                layer.weight.copy_(torch.eye(4, layer.weight.shape[1]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            if layer.get_parameter("weight").shape[1] == 5:
                x = torch.cat([x, x.new_full((len(x), 1), self.peak)], 1)
            x = layer(x)
        return x


def examples(n: int = 64, seed: int = 0, labelled: bool = True) -> Examples:
    """Four values in random order each."""
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.stack([torch.randperm(4, generator=draw) for _ in range(n)]).float()
    return Examples(
        name="planted",
        inputs=inputs,
        labels=inputs.argmax(1) if labelled else None,
        ids=tuple(f"{seed}-{place}" for place in range(n)),
        n_available=n,
        sha256="0" * 64,
    )


def side_of(
    model: nn.Module,
    data: Examples,
    split: Literal["test", "train"] = "test",
    bits: int = 3,
    settings: AssessSettings | None = None,
) -> Side:
    """The network attached, under one policy, "even", that spends as many bits everywhere."""
    model = model.eval().requires_grad_(False)
    prepared = prepare(own_subject(model), data, settings or AssessSettings(batch_size=24))
    allocation = torch.full((len(data), len(prepared.points)), bits)
    return Side(split, prepared, {"even": allocation})
