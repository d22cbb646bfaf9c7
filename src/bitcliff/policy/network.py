"""A small convolutional network that looks at an image and values every width at every point."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from bitcliff.errors import InputError


@dataclass(frozen=True)
class PolicyNetworkConfig:
    """Its size.

    Attributes:
        channels: output channels of each convolution; each but the first halves the image.
    """

    channels: tuple[int, ...] = (16, 32, 64)

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise InputError("policy channels must be positive whole numbers, such as [16, 32, 64]")


class PolicyNetwork(nn.Module):
    """Images (batch, C, H, W) to logits (batch, L, O) (paper section 3.2, eq. 6).

    Group normalisation, not batch normalisation: an example's widths must not depend on its
    batch-mates, in training as little as afterwards.
    """

    def __init__(
        self,
        in_channels: int,
        points: int,
        options: int,
        config: PolicyNetworkConfig = PolicyNetworkConfig(),
    ) -> None:
        super().__init__()
        self.points, self.options = points, options
        self.features = nn.Sequential(*_blocks(in_channels, config.channels))
        self.head = nn.Linear(config.channels[-1], points * options)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch points options"]:
        """Logits of every option at every point."""
        features = self.features(images).mean((2, 3))
        logits: Tensor = self.head(features)
        return logits.view(-1, self.points, self.options)


def _blocks(in_channels: int, channels: Sequence[int]) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for number, width in enumerate(channels):
        stride = 1 if number == 0 else 2
        blocks += [
            nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False),
            nn.GroupNorm(_groups(width), width),
            nn.ReLU(),
        ]
        in_channels = width
    return blocks


def _groups(width: int) -> int:
    return next(groups for groups in (8, 4, 2, 1) if width % groups == 0)
