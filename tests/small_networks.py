"""Small networks that several rooms' tests share. Imports torch alone: tests copy it for `py:`."""

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def chain(
    seed: int = 0, points: int = 5, width: int = 6, inputs: int = 4, classes: int = 3
) -> nn.Module:
    """Linear layers with ReLUs between; `points` of their inputs are quantization points."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.Linear(inputs, width)]
    for place in range(points):
        layers += [nn.ReLU(), nn.Linear(width, width if place + 1 < points else classes)]
    for layer in layers[::2]:
        # By default the signal fades from layer to layer, and nothing could be lost.
        nn.init.kaiming_normal_(layer.weight)  # type: ignore[arg-type]
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers).eval()


class DigitsCNN(nn.Module):
    """8 x 8 grey pictures to ten classes; four points besides the picture itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.middle = nn.Conv2d(8, 12, 3, padding=1, stride=2)
        self.last = nn.Conv2d(12, 16, 3, padding=1, stride=2)
        self.hidden = nn.Linear(64, 24)
        self.head = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(self.middle(x))
        x = F.relu(self.last(x)).flatten(1)
        return self.head(F.relu(self.hidden(x)))  # type: ignore[no-any-return]


class DigitsMLP(nn.Module):
    """8 x 8 grey pictures to ten classes; six points besides the picture itself."""

    def __init__(self) -> None:
        super().__init__()
        widths = [64, 24, 24, 24, 24, 24, 24, 10]
        pairs = pairwise(widths)
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairs])

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)  # type: ignore[no-any-return]


class Cliff(nn.Module):
    """Decides rightly unless its middle layer gets `fatal` bits or fewer; the others do not matter.

    The class is the sign of the input's first value, carried past two layers as +-1 beside values
    of up to `peak`: a grid over that range rounds the +-1 away, or does not, by its bits.
    Points: first (harmless), middle (the cliff), last (harmless).
    """

    def __init__(self, peak: float = 20.0) -> None:
        super().__init__()
        self.peak = peak
        self.first = nn.Linear(2, 2, bias=False)
        self.second = nn.Linear(2, 2, bias=False)
        self.middle = nn.Linear(3, 2, bias=False)
        self.last = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            for layer in (self.first, self.second, self.last):
                layer.weight.copy_(torch.eye(2))
            # Class 1 by default: the decision leans on the small value being there.
            self.middle.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.02 / peak]]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x.sign()))
        big = x.new_tensor([-self.peak, self.peak]).expand(len(x), 2)
        return self.last(self.middle(torch.cat([x[:, :1], big], 1)))  # type: ignore[no-any-return]


class OnTheGrid(nn.Module):
    """Cannot break: at every point the values are 0, 1, 2 and 3, which two bits already hold."""

    def __init__(self, points: int = 4) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 4, bias=False)
        self.layers = nn.ModuleList([nn.Linear(4, 4, bias=False) for _ in range(points)])
        with torch.no_grad():
            for layer in [self.stem, *self.layers]:
                layer.weight.copy_(torch.eye(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return x


class Overflowing(nn.Module):
    """Linear, but that examples whose first value is above `limit` become infinite on the way.

    A little below the limit they do so only where rounding lifts them over it. The decision is
    which of three differences is largest.
    """

    def __init__(self, limit: float = 1.0) -> None:
        super().__init__()
        self.limit = limit
        self.stem = nn.Linear(3, 3, bias=False)
        self.hidden = nn.Linear(3, 3)
        self.head = nn.Linear(3, 3)
        with torch.no_grad():
            self.stem.weight.copy_(torch.eye(3))
            self.hidden.weight.copy_(torch.eye(3))
            self.head.weight.copy_(torch.eye(3) - torch.eye(3).roll(1, 1))
            self.hidden.bias.zero_()
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        x = self.hidden(self.stem(x))
        x = torch.where(x[:, :1] > self.limit, x / 0.0, x)
        return self.head(x)  # type: ignore[no-any-return]


class Loud(nn.Module):
    """Prints in every forward pass, and past Python's stdout too."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))

    def forward(self, x: Tensor) -> Tensor:
        import os

        print("LOUD")  # noqa: T201
        os.write(1, b"LOUDER\n")
        return self.layers(x)  # type: ignore[no-any-return]


class Quitting(nn.Module):
    """Ends the program, as a success, once it has been called a few times."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > 8:
            raise SystemExit(0)
        return self.layers(x)  # type: ignore[no-any-return]


class NotFinite(nn.Module):
    """Finite weights, infinite results."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) / 0.0  # type: ignore[no-any-return]


class Pointless(nn.Module):
    """Nothing in it multiplies matrices."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :10]


class SoftmaxByHand(nn.Module):
    """A softmax that no call says is one."""

    def forward(self, z: Tensor) -> Tensor:
        e = (z - z.amax(1, keepdim=True)).exp()
        return e / e.sum(1, keepdim=True)
