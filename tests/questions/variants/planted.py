"""A format that loses for a known reason: one channel of each input is far larger than the rest."""

import functools
from dataclasses import replace

import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings, Audit
from bitcliff.questions.context import Context, Side
from bitcliff.questions.variants.observe import observe_variants
from bitcliff.questions.variants.record import VariantsObserved
from bitcliff.record import Explained, Record

CHANNELS = 32


class Outlier(nn.Module):
    """Two classes by the sign of a sum that leaves the large channel out."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(CHANNELS, 2)
        direction = torch.ones(CHANNELS)
        direction[0] = 0
        self.layer.weight = nn.Parameter(torch.stack([direction, -direction]))
        self.layer.bias = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


def examples(n: int, large: float) -> Tensor:
    x = torch.randn(n, CHANNELS, generator=torch.Generator().manual_seed(0))
    x[:, 0] = large * x[:, 0].sign()
    return x


def context_of(large: float, n: int, *names: str) -> Context:
    """Assessed in the formats, which are then explained."""
    model, x = Outlier().eval(), examples(n, large)
    with torch.no_grad():
        labels = model(x).argmax(1)
    settings = AssessSettings(
        budgets=(), uniform=(), numerics=names or ("nvfp4",), include_stem=True
    )
    audit = Audit(model, [(x, labels)], settings=settings)
    record = audit.assess(command="bitcliff assess")
    if names:
        explained = Explained(policies=list(names), n_train=0)
        observed = record.observed.model_copy(update={"explained": explained})
        record = replace(record, observed=observed)
    return Context(record, (), Side("test", audit.prepared, {}), deployed=names)


@functools.cache
def observed(large: float = 400.0, n: int = 120) -> tuple[Record, VariantsObserved]:
    """In int8 by token, which the large channel leaves few steps; made once."""
    context = context_of(large, n, "vllm-int8-token")
    return context.record, observe_variants(context)
