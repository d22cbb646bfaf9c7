"""A network that glare in one corner of the image blinds once it is quantized coarsely."""

from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bitcliff.audit import AssessSettings, Audit
from bitcliff.policy import Batch, Policy
from bitcliff.questions.context import Context, Side, allocation_of
from bitcliff.record import Explained
from bitcliff.types.corruption import Corruption, Degree, strength_at
from bitcliff.types.settings import CorruptionSettings
from bitcliff.types.subject import Examples, Inputs

SETTINGS = AssessSettings(
    bits=(4, 8),
    budgets=(6.0,),
    uniform=(4, 8),
    rounds=1,
    exchanges=2,
    evaluations=0,
    draws=2,
    weight_bits=None,
)
EVERYTHING = CorruptionSettings()
GLARING = (0.68, 0.76, 0.84, 0.92, 1.0)


class Dazzled(nn.Module):
    """Class 0 if the pixel (1, 1) is bright. A pixel (0, 0) above 0.6 stretches the range that the
    first point is rounded in: to 21 at 0.68, where 4 bits still tell -1 from 1, and then too far.

    Class 1 by default, so that only images of class 0 are lost. `overflow`: it becomes infinite.
    """

    def __init__(self, overflow: bool = False) -> None:
        super().__init__()
        self.overflow = overflow
        self.stem = nn.Linear(16, 16, bias=False)
        self.head = nn.Linear(2, 2)
        self.last = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.stem.weight.copy_(torch.eye(16))
            self.head.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
            self.head.bias.copy_(torch.tensor([0.0, 0.1]))
            self.last.weight.copy_(torch.eye(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(1))
        glare = 250 * F.relu(x[:, 0] - 0.6)
        if self.overflow:
            glare = (9 * glare).exp()
        return self.last(self.head(torch.stack([2 * x[:, 5] - 1, glare], 1)))  # type: ignore[no-any-return]


class Distracted(Policy):
    """Spends 4 bits at the first point and 8 at the last if it sees glare, else 8 and 4."""

    def __init__(self) -> None:
        super().__init__(2, (4, 8), 12)

    def allocate(self, batch: Batch) -> Tensor:
        assert isinstance(batch.inputs, Tensor)
        sees = (batch.inputs[:, 0, 0, 0] > 0.6)[:, None]
        return torch.where(sees, torch.tensor([4, 8]), torch.tensor([8, 4]))


def _put(x: Tensor, column: int, degree: Degree) -> Tensor:
    changed = x.clone()
    changed[0, 0, column] = strength_at(GLARING, degree)
    return changed


GLARE = Corruption("glare", "brightness", GLARING, lambda x, degree, _: _put(x, 0, degree))
SPOT = Corruption("spot", "brightness", GLARING, lambda x, degree, _: _put(x, 1, degree))


def some_images(n: int = 60) -> tuple[Tensor, Tensor]:
    """Black, but for the pixel that decides; both classes in turn."""
    labels = torch.arange(n) % 2
    x = torch.zeros(n, 1, 4, 4)
    x[:, 0, 1, 1] = (labels == 0).float()
    return x, labels


def context_of(
    module: nn.Module,
    inputs: Inputs,
    labels: Tensor | None,
    policies: tuple[str, ...] = ("uniform-4", "uniform-8"),
    ids: tuple[str, ...] | None = None,
    corrupting: CorruptionSettings = EVERYTHING,
    co_trained: Policy | None = None,
    settings: AssessSettings = SETTINGS,
) -> Context:
    """A finished run, as `bitcliff explain` takes it up."""
    n = len(next(iter(inputs.values())) if not isinstance(inputs, Tensor) else inputs)
    ids = ids or tuple(f"p{place}" for place in range(n))
    examples = Examples("pictures", inputs, labels, ids, n, "0" * 64)
    audit = Audit(module.eval(), examples, settings=settings, policy=co_trained)
    record = audit.assess(command="made by the tests")
    explained = Explained(policies=list(policies), n_train=0)
    record = replace(record, observed=record.observed.model_copy(update={"explained": explained}))
    allocations = {name: allocation_of(record.outcomes[name]) for name in policies}
    side = Side("test", audit.prepared, allocations)
    return Context(record, policies, side, corrupting=corrupting)
