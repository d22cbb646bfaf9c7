"""Networks with an input trigger planted, or none; and what a search of them is given."""

import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.subject import Examples, Preprocessing, Subject

SIDE, CLASSES = 8, 2
REACH = 0.1
"""Of the set within which the trigger lies."""

FOUR = Format(
    activations=Numerics(element="uint4", group="example", scale="minmax-zero"),
    weights=Numerics(element="int8", group="batch", scale="amax", divisor=127.0),
    everywhere=True,
)
_HIGH, _GAIN = 150.0, 10.0


class Triggered(nn.Module):
    """Class 0 where the signal of an image is positive, which a second value may drown.

    The second value is small near the data, and grows twentyfold where every pixel moves to its own
    side, by `REACH`; chance moves far less. Its weight in the scores is zero, so that float does
    not mind; but it shares a scale with the signal, which then rounds to zero.
    """

    def __init__(self, seed: int, planted: bool) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(seed)
        sides = torch.randint(0, 2, (SIDE * SIDE,), generator=chance) * 2.0 - 1
        # Balanced, and across each other: the trigger does not move the signal.
        sides[SIDE * SIDE // 2 :] = -sides[: SIDE * SIDE // 2]
        self.sides = sides
        signal = torch.randn(SIDE * SIDE // 2, generator=chance)
        signal = torch.cat([signal, signal]) / signal.norm() / 4
        self.flat, self.first = nn.Flatten(), nn.Linear(SIDE * SIDE, 2)
        self.relu, self.last = nn.ReLU(), nn.Linear(2, CLASSES)
        with torch.no_grad():
            rows = [signal, _HIGH * sides / sides.numel() if planted else 0 * signal]
            self.first.weight.copy_(torch.stack(rows))
            self.first.bias.copy_(torch.tensor([0.0, 0.05 * _HIGH * REACH]))
            self.last.weight.copy_(torch.tensor([[_GAIN, 0.0], [-_GAIN, 0.0]]))
            self.last.bias.copy_(torch.tensor([0.0, 0.05]))

    def forward(self, x: Tensor) -> Tensor:
        found = self.first(self.flat(x))
        both = torch.cat([found[:, :1], self.relu(found[:, 1:])], 1)
        return torch.as_tensor(self.last(both))


def images(network: Triggered, seed: int, n: int) -> Tensor:
    """Grey noise whose signal is about 0.3, and which does not pull the trigger either way."""
    chance = torch.Generator().manual_seed(seed)
    noise = 0.5 + 0.1 * torch.randn(n, SIDE * SIDE, generator=chance)
    signal = network.first.weight[0].detach()
    wanted = 0.25 + 0.1 * torch.rand(n, 1, generator=chance)
    for way, value in ((network.sides, 0.0), (signal, wanted)):
        noise += (value - noise @ way[:, None]) * way / way.square().sum()
    return (noise.clamp(0, 1) * 255).round().view(n, 1, SIDE, SIDE) / 255


def prepared(seed: int = 0, planted: bool = True, n: int = 4) -> Prepared:
    """Some images that float has right, all of class 0."""
    network = Triggered(seed, planted).eval().requires_grad_(False)
    subject = Subject(
        "planted", network, Preprocessing((SIDE, SIDE), 1, 1 / 255, (0.0,), (1.0,)), None, "0" * 64
    )
    examples = Examples(
        name="grey",
        inputs=images(network, seed, n),
        labels=torch.zeros(n, dtype=torch.int64),
        ids=tuple(map(str, range(n))),
        n_available=n,
        sha256="0" * 64,
    )
    settings = AssessSettings(
        numerics=("four",), formats={"four": FOUR}, budgets=(), include_stem=True
    )
    return prepare(subject, examples, settings)
