"""Runs to mend: assessed in memory, with the context that `explain` would load."""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings, Audit
from bitcliff.questions.context import Context, Side
from bitcliff.questions.mitigations.observe import observe_mitigations
from bitcliff.questions.mitigations.record import MitigationsObserved
from bitcliff.record import Record
from tests.small_networks import Cliff

SETTINGS = AssessSettings(
    bits=tuple(range(3, 11)),
    budgets=(8.0,),
    uniform=(8,),
    rounds=3,
    exchanges=12,
    evaluations=0,
    draws=4,
    weight_bits=None,
)


def context_of(model: nn.Module, data: list[Any], settings: AssessSettings = SETTINGS) -> Context:
    audit = Audit(model.eval(), data, settings=settings)
    record = audit.assess(command="bitcliff assess")
    return Context(record, (), Side("test", audit.prepared, {}))


def signs(n: int = 24) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


def cliff_context(labelled: bool = True, n: int = 24) -> Context:
    """One layer of three is to blame: with few bits there, half of the examples are lost."""
    prepared = _cliff_audit(labelled, n).prepared
    return Context(_cliff_record(labelled, n), (), Side("test", prepared, {}))


def _cliff_audit(labelled: bool, n: int) -> Audit:
    model, x = Cliff(), signs(n)
    with torch.no_grad():
        labels = model(x).argmax(1)
    return Audit(model.eval(), [(x, labels)] if labelled else [x], settings=SETTINGS)


@functools.cache
def _cliff_record(labelled: bool, n: int) -> Record:
    return _cliff_audit(labelled, n).assess(command="bitcliff assess")


@functools.cache
def observed_cliff(labelled: bool = True) -> tuple[Record, MitigationsObserved]:
    """The record of a cliff, and what was observed of its mitigations; made once."""
    context = cliff_context(labelled)
    return context.record, observe_mitigations(context)
