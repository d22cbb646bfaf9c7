"""A ResNet18 thin enough for two cores, for small images: 20 quantization points, as ResNet18."""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor, nn


class ThinResNet(nn.Module):
    """Stages of two basic blocks; the stem keeps small images whole (no max-pooling).

    Args:
        in_channels: 1 for grey images. classes: outputs.
        widths: channels of the stages, four in ResNet18. stem_stride: 2 halves the image at once.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 10,
        widths: Sequence[int] = (8, 16, 32, 64),
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, widths[0], 3, stem_stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        stages, before = [], widths[0]
        for number, width in enumerate(widths):
            stride = 1 if number == 0 else 2
            stages += [BasicBlock(before, width, stride), BasicBlock(width, width, 1)]
            before = width
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(widths[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        x = self.stages(F.relu(self.bn1(self.conv1(images))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels2 height2 width2"]:
        """The sum of both ways, rectified."""
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(inner + self.shortcut(x))


def digits() -> ThinResNet:
    """For scikit-learn's digits: grey images of 8 x 8."""
    return ThinResNet(widths=(8, 12, 16, 32))


def fashion_mnist() -> ThinResNet:
    """For Fashion-MNIST: grey images of 28 x 28."""
    return ThinResNet(widths=(8, 16, 32, 64), stem_stride=2)
