"""The table of assessments that the contract is tested on."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings, Audit
from bitcliff.record import Record
from tests.small_networks import Overflowing, chain

EFFORT = AssessSettings(rounds=2, exchanges=4, evaluations=8, draws=4)
SETTINGS = EFFORT.changed(
    bits=(2, 3, 4, 5), budgets=(2.5, 4.0), uniform=(2, 4, 8), weight_bits=8, include_stem=False
)


class Tokens(nn.Module):
    """Takes named tensors: token ids and a mask."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.embedding = nn.Embedding(11, 6)
        self.query, self.value = nn.Linear(6, 6), nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        x = self.embedding(tokens)
        scores = self.query(x) @ x.transpose(1, 2)
        weights = scores.masked_fill(~mask[:, None], float("-inf")).softmax(-1)
        return self.head((weights @ self.value(x)).mean(1))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Case:
    """An assessment and what it is a case of."""

    record: Record
    labelled: bool = True
    failing: bool = False


def _random(n: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed))


def _labels(model: nn.Module, inputs: Any) -> Tensor:
    """What the network says, but for a fifth of them."""
    with torch.no_grad():
        right = (model(**inputs) if isinstance(inputs, dict) else model(inputs)).argmax(1)
    wrong = torch.arange(len(right)) % 5 == 4
    return torch.where(wrong, (right + 1) % 3, right)


def labelled() -> Case:
    model, x = chain(0, points=4, width=10), _random(21, 4)
    return Case(Audit(model, [(x, _labels(model, x))], settings=SETTINGS).assess())


def unlabelled() -> Case:
    audit = Audit(chain(12, points=4, width=10), [_random(15, 4)], settings=SETTINGS)
    return Case(audit.assess(), labelled=False)


def by_prediction() -> Case:
    model, x = chain(3, points=4, width=10), _random(21, 4)
    settings = SETTINGS.changed(margin="prediction", scheme="paper", weight_bits=None)
    record = Audit(model, [(x, _labels(model, x))], settings=settings).assess()
    return Case(record)


def failing() -> Case:
    """Some examples overflow in float, some only once rounded."""
    model, x = Overflowing().eval(), _near_overflow()
    return Case(Audit(model, [(x, _labels(model, x))], settings=SETTINGS).assess(), failing=True)


def failing_unlabelled() -> Case:
    audit = Audit(Overflowing().eval(), [_near_overflow()], settings=SETTINGS)
    return Case(audit.assess(), labelled=False, failing=True)


def _near_overflow() -> Tensor:
    x = torch.rand(24, 3, generator=torch.Generator().manual_seed(3))
    x[:12, 0] = torch.linspace(0.95, 1.05, 12)
    x[:12, 1] = 1.2
    return x


def all_but_one_failing() -> Case:
    """A rate may be left with no example at all."""
    x = _near_overflow()[:6] + 1
    x[0] = torch.tensor([0.2, 0.1, 0.3])
    return Case(
        Audit(Overflowing().eval(), [x], settings=SETTINGS).assess(), labelled=False, failing=True
    )


def named_tensors() -> Case:
    model, masks = Tokens().eval(), torch.Generator().manual_seed(5)
    batch: dict[str, Any] = {
        "tokens": torch.randint(0, 11, (12, 5), generator=torch.Generator().manual_seed(4)),
        "mask": torch.arange(5) < torch.randint(2, 6, (12, 1), generator=masks),
    }
    batch["labels"] = _labels(model, dict(batch))
    return Case(Audit(model, [batch], settings=SETTINGS).assess())


def two_examples() -> Case:
    """Too few for halves."""
    model, x = chain(4, points=2, width=8), _random(2, 4)
    return Case(Audit(model, [(x, _labels(model, x))], settings=SETTINGS).assess())


CASES = {
    make.__name__: make
    for make in (
        labelled,
        unlabelled,
        by_prediction,
        failing,
        failing_unlabelled,
        all_but_one_failing,
        named_tensors,
        two_examples,
    )
}
