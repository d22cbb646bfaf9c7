"""Networks shaped as MobileNetV4 and RegNetX, thin enough for two cores, for small grey images."""

import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor, nn

_CLASSES = 10
_GROUP = 8


class ThinNetwork(nn.Module):
    """A strided stem, blocks, and a classifier of the mean over all positions."""

    def __init__(self, stem: int, blocks: list[nn.Module], features: int) -> None:
        super().__init__()
        self.stem = convolution(1, stem, 3, stride=2)
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(features, _CLASSES)

    def forward(self, images: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch 10"]:
        """Logits."""
        x = self.blocks(F.relu(self.stem(images)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def convolution(
    before: int, after: int, size: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution that keeps the image's size but for its stride, normalised."""
    padding = size // 2
    layer = nn.Conv2d(before, after, size, stride, padding, groups=groups, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(layer, nn.BatchNorm2d(after))


class RegNetBlock(nn.Module):
    """1 x 1, grouped 3 x 3 and 1 x 1 convolutions of one width, and a shortcut (RegNetX)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.reduce = convolution(before, after, 1)
        self.grouped = convolution(after, after, 3, stride, groups=after // _GROUP)
        self.expand = convolution(after, after, 1)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = convolution(before, after, 1, stride)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels2 height2 width2"]:
        """The sum of both ways, rectified."""
        inner = self.expand(F.relu(self.grouped(F.relu(self.reduce(x)))))
        return F.relu(inner + self.shortcut(x))


class InvertedBottleneck(nn.Module):
    """MobileNetV4's universal block: depthwise, expand, depthwise, project; its end is linear.

    Args:
        first, middle: whether each of the depthwise convolutions is there; the stride is in the
            middle one, or in the first where there is no other.
    """

    def __init__(self, before: int, after: int, stride: int, first: bool, middle: bool) -> None:
        super().__init__()
        inner = 3 * before
        at_first = 1 if middle else stride
        self.first = convolution(before, before, 3, at_first, before) if first else nn.Identity()
        self.expand = convolution(before, inner, 1)
        self.middle = convolution(inner, inner, 3, stride, inner) if middle else None
        self.project = convolution(inner, after, 1)
        self.keeps_shape = stride == 1 and before == after

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels2 height2 width2"]:
        """The projection, and what came in where it has the same shape."""
        inner = F.relu(self.expand(self.first(x)))
        if self.middle is not None:
            inner = F.relu(self.middle(inner))
        projected: Tensor = self.project(inner)
        return projected + x if self.keeps_shape else projected


def thin_regnetx() -> ThinNetwork:
    """Stages of one, one, two and one block."""
    shape = ((8, 16, 2), (16, 24, 2), (24, 48, 2), (48, 48, 1), (48, 64, 1))
    return ThinNetwork(8, [RegNetBlock(*one) for one in shape], 64)


def thin_mobilenetv4() -> ThinNetwork:
    """A fused block, then universal ones of all four kinds."""
    fused = nn.Sequential(convolution(8, 24, 3, stride=2), nn.ReLU(), convolution(24, 16, 1))
    shape = (
        (16, 24, 2, True, True),
        (24, 24, 1, False, True),
        (24, 40, 2, True, True),
        (40, 40, 1, True, False),
        (40, 40, 1, False, False),
    )
    return ThinNetwork(8, [fused, *(InvertedBottleneck(*one) for one in shape)], 40)
