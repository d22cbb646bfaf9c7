"""Texts of token ids whose padding, or whose longest examples, are louder than all words."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.audit import Audit
from bitcliff.questions.context import Context, Side, allocation_of
from bitcliff.record import Explained
from bitcliff.types.settings import LengthSettings
from bitcliff.types.subject import Examples
from tests.contract.subjects import SETTINGS

PEAK = 1000.0
LOUD = 5
N = 16


class Words(nn.Module):
    """The class is the commonest of words 1 to 4, by the mask; a fifth value is of no use to it.

    A grid over `pad` or over the loud word's peak rounds the others to zero: class 0 is left.
    """

    def __init__(self, pad: float, masked: bool = True) -> None:
        super().__init__()
        self.masked = masked
        table = torch.zeros(6, 5)
        table[1:5, :4] = torch.eye(4)
        table[0, 4], table[LOUD, 4] = pad, PEAK
        self.table = nn.Embedding.from_pretrained(table)
        self.word, self.head = nn.Linear(5, 4, bias=False), nn.Linear(4, 4, bias=False)
        with torch.no_grad():
            self.word.weight.copy_(torch.eye(4, 5))
            self.head.weight.copy_(torch.eye(4))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        seen = attention_mask if self.masked else torch.ones_like(attention_mask)
        words = self.word(self.table(input_ids)) * seen[..., None]
        if not self.masked:  # length itself tells
            words = words + (attention_mask == 0)[..., None] * torch.tensor([1.0, 0, 0, 0])
        return self.head(words.sum(1))  # type: ignore[no-any-return]


def texts(loud: bool = False) -> tuple[dict[str, Tensor], Tensor]:
    """Of 3 to 6 words, padded to 6; every class as often. `loud`: a loud word in the longest."""
    y = torch.arange(N) % 4
    lengths = 3 + torch.arange(N) // 4
    mask = (torch.arange(6) < lengths[:, None]).long()
    ids = (y[:, None] + 1) * mask
    if loud:
        ids[lengths == 6, 0] = LOUD
    return {"input_ids": ids, "attention_mask": mask}, y


def context(
    network: nn.Module, inputs: dict[str, Tensor] | Tensor, y: Tensor, *lengths: int
) -> Context:
    """A finished run at 8 bits everywhere, simulated and in a runtime."""
    subject = make_subject("words", network.eval(), None, None)
    ids = tuple(f"t{place}" for place in range(len(y)))
    data = Examples("texts", inputs, y, ids, len(y), "0" * 64)
    settings = SETTINGS.changed(uniform=(8,), budgets=(5.0,), include_stem=True)
    runtime = load_runtime("torch-dynamic", subject, bytes)
    audit = Audit(subject, data, settings=settings, runtimes=[runtime])
    record = audit.assess(command="made by the tests")
    explained = Explained(policies=["uniform-8", "torch-dynamic"], n_train=0)
    record = replace(record, observed=record.observed.model_copy(update={"explained": explained}))
    allocations = {"uniform-8": allocation_of(record.outcomes["uniform-8"])}
    return Context(
        record,
        ("uniform-8",),
        Side("test", audit.prepared, allocations),
        deployed=("torch-dynamic",),
        lengths=LengthSettings(lengths=lengths),
    )
