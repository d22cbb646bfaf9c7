"""A stage that trains in a blink, with all that has a state: dropout, BatchNorm, momentum."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bitcliff.train.loop import LoopConfig, Metrics, Validation
from bitcliff.train.optimiser import OptimiserConfig


class Line:
    """Fits a line with dropout, BatchNorm and all else that has a state."""

    def __init__(self, width: int = 8) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(
            nn.Linear(3, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(width, 1),
        )
        self.x = torch.randn(50, 3)
        self.y = self.x @ torch.tensor([[1.0], [-2.0], [0.5]])
        self.broken_at = -1

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"line": self.network}

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(f"example-{n}" for n in range(50))

    def loss(self, index: Tensor) -> tuple[Tensor, Metrics]:
        self.network.train()
        loss = (self.network(self.x[index]) - self.y[index]).square().mean()
        self.broken_at -= 1
        if self.broken_at == 0:
            loss = loss * float("nan")
        return loss, {"squared": loss.item()}

    def validate(self) -> Validation:
        self.network.eval()
        with torch.no_grad():
            error = (self.network(self.x) - self.y).square().mean().item()
        return Validation((-error,), {"error": error})


def config(kind: str = "sgd", epochs: int = 6) -> LoopConfig:
    optimiser = OptimiserConfig(kind=kind, lr=0.02)  # type: ignore[arg-type]
    return LoopConfig(epochs=epochs, batch_size=8, save_every=4, optimiser=optimiser)
