"""Small networks wired by hand, each with something that discovery must see."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

Wiring = Callable[[Any, Tensor], Any]


class Wired(nn.Module):
    """A module whose parts and forward pass are given: wiring(self, x)."""

    def __init__(self, wiring: Wiring, **parts: Any) -> None:
        super().__init__()
        self.wiring = wiring
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.wiring(self, x)


def frozen(model: nn.Module, seed: int = 0) -> nn.Module:
    """In eval mode, with random weights of a seed, none of them zero, and BatchNorm in use."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 25
            parameter.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.weight.add_(1)
            if isinstance(module, nn.LayerNorm | nn.GroupNorm):
                module.weight.add_(1)
    return model.eval().requires_grad_(False)


def matrix(*shape: int) -> nn.Parameter:
    """A parameter of a module that calls functions itself."""
    return nn.Parameter(torch.randn(*shape))


def tokens(n: int = 4, length: int = 6, width: int = 16, seed: int = 0) -> Tensor:
    """Random sequences (n, length, width)."""
    return torch.randn(n, length, width, generator=torch.Generator().manual_seed(seed))


def images(n: int = 4, size: int = 16, channels: int = 3, seed: int = 0) -> Tensor:
    """Random images (n, channels, size, size)."""
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(seed))


def on_tokens(wiring: Wiring, width: int = 16, **parts: Any) -> nn.Module:
    """wiring(self, features) between a first linear layer and a head, over tokens (n, 6, 16)."""

    def whole(self: Any, x: Tensor) -> Tensor:
        result = wiring(self, self.stem(x))
        while result.ndim > 2:
            result = result.mean(1)
        return self.head(result)  # type: ignore[no-any-return]

    model = Wired(whole, stem=nn.Linear(16, 16), **parts)
    model.head = nn.Linear(width, 3)
    return frozen(model)


class SmallConvNet(nn.Module):
    """Convolutions with a residual block, BatchNorm, grouped and strided layers; 6 points."""

    def __init__(self, act: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.act = act()
        self.first = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.second = nn.Conv2d(8, 8, 3, padding="same", padding_mode="circular")
        self.down = nn.Conv2d(8, 12, 3, stride=2)
        self.hidden = nn.Linear(12, 10)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.bn(self.stem(x)))
        x = x + self.second(self.act(self.first(x)))
        x = self.act(self.down(self.act(x)))
        return self.head(self.act(self.hidden(x.mean((2, 3)))))  # type: ignore[no-any-return]


class InPlaceBlock(nn.Module):
    """A residual block whose sum goes on both rectified in place and as the shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        shortcut = x
        F.relu(x, inplace=True)
        x = self.conv(x) + shortcut
        x.relu_()
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class WindowAttention(nn.Module):
    """Attention within windows that are folded into the batch, as in Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(16, 16)
        self.qkv = nn.Linear(16, 48)
        self.proj = nn.Linear(16, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        windows = self.stem(x).reshape(n * 2, length // 2, width)
        query, key, value = self.qkv(windows).chunk(3, -1)
        windows = torch.softmax(query @ key.mT / 4, -1) @ value
        x = self.proj(windows).reshape(n, length, width)
        return self.head(x.mean(1))  # type: ignore[no-any-return]
