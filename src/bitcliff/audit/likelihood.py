"""How likely a language model finds the texts themselves, and how far that is from float."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.audit.prepare import Prepared
from bitcliff.audit.rerun import in_batches, rerun
from bitcliff.points import take
from bitcliff.record import Condition, Outcomes, Table
from bitcliff.record.conditions import Kind
from bitcliff.tasks import NextToken, judge_as, task_of
from bitcliff.tasks.against_float import digests, every_digest
from bitcliff.types.subject import IDS, Inputs, Texts

_ONCE: tuple[Kind, ...] = (
    "weights-only", "uniform", "co-trained", "runtime", "numerics", "one-format",
)  # fmt: skip
"""Kinds that are measured by one pass, in which texts are noted too; others are run once more."""

Noted = dict[bytes, tuple[float, float]]
"""By what a text is told by: its negative log-likelihood and its divergence from float, in nats,
summed over the tokens that follow another."""


@dataclass
class _Noting:
    """The task itself, which notes what becomes of each text.

    Attributes:
        in_float: what float gives for the same batch, (batch, positions, tokens).
    """

    task: NextToken
    in_float: Callable[[Inputs], Tensor]
    noted: Noted = field(default_factory=dict)
    name: str = NextToken.name
    words: str = NextToken.words
    decisions: tuple[str, ...] | None = None

    def scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch tokens"]:
        """Its own."""
        if isinstance(inputs, Texts):
            before = self.in_float(inputs)
            # A batch may be filled up with copies of its last text.
            for row, place in {row: at for at, row in enumerate(digests(inputs))}.items():
                ids = inputs[IDS][place]
                self.noted[row] = _in_nats(output[place], before[place], ids)
        return self.task.scores(output, inputs)

    def scores_before(self, given: Tensor, inputs: Inputs) -> Float[Tensor, "batch tokens"]:
        """The same."""
        return self.task.scores_before(given, inputs)


def _in_nats(output: Tensor, before: Tensor, ids: Tensor) -> tuple[float, float]:
    """(positions, tokens) twice, and what the text says: negative log-likelihood, KL from float."""
    own, was = (one[:-1].double().log_softmax(1) for one in (output, before))
    apart = (was.exp() * (was - own)).where(was > -torch.inf, 0.0).sum()
    return _unlikely(own, ids), float(apart.clamp(min=0.0))


def _unlikely(own: Tensor, ids: Tensor) -> float:
    """Of log-probabilities (positions, tokens) behind each token but the last, and the text."""
    return float(-own.gather(1, ids[1:].to(own.device)[:, None]).sum())


def has_likelihood(prepared: Prepared) -> bool:
    """Whether the network is a language model that is looked into, and its examples are texts."""
    inputs = prepared.evaluator.inputs
    is_texts = isinstance(inputs, Texts) and IDS in inputs
    task = task_of(prepared.subject.module)
    return isinstance(task, NextToken) and is_texts and not prepared.subject.black_box


def with_float(prepared: Prepared, table: Table) -> Table:
    """The table with what float makes of each text, and how many of its tokens follow another."""
    inputs = prepared.evaluator.inputs
    if not has_likelihood(prepared) or not isinstance(inputs, Texts):
        return table
    nll = np.empty(len(table))
    for rows, padded in prepared.evaluator.batches_of(prepared.everyone):
        batch = take(inputs, padded)
        assert isinstance(batch, Texts)  # noqa: S101  (as they all are)
        batch = batch.unpadded()
        given = prepared.float_texts(batch)
        for row, output, ids in zip(rows.tolist(), given, batch[IDS], strict=False):
            nll[row] = _unlikely(output[:-1].double().log_softmax(1), ids)
    tokens = (inputs.lengths - 1).numpy().astype(np.int32)
    return table.model_copy(update={"nll": nll, "tokens": tokens})


@contextmanager
def noting(prepared: Prepared, condition: Condition | None = None) -> Iterator[Noted]:
    """What becomes of texts in the passes inside, the last of each.

    Args:
        condition: what is run; nothing is noted unless it takes one pass. None: it does.
    """
    module, evaluator = prepared.subject.module, prepared.evaluator
    task, workers = task_of(module), evaluator.elsewhere
    once = condition is None or (condition.kind in _ONCE and (condition.batch_size or 1) == 1)
    if not once or not has_likelihood(prepared) or not isinstance(task, NextToken):
        yield {}
        return
    beside = _Noting(task, prepared.float_texts)
    judge_as(module, beside)
    evaluator.elsewhere = None  # what a task notes can be read in this process alone
    try:
        yield beside.noted
    finally:
        evaluator.elsewhere = workers
        judge_as(module, task)


def with_likelihood(
    prepared: Prepared, condition: Condition, bits: Tensor | None, found: Outcomes, noted: Noted
) -> Outcomes:
    """Outcomes with what was noted of their texts; if nothing was, the condition is run once more.
    Unchanged where it cannot be."""
    run = rerun(prepared, condition, bits)
    if run is None or not has_likelihood(prepared) or (condition.batch_size or 1) > 1:
        return found
    places = torch.from_numpy(found.index.astype(np.int64))
    if not noted:
        with noting(prepared) as noted:
            run(in_batches(prepared.evaluator, condition), places, torch.arange(len(places)))
    known = np.array([noted[row] for row in every_digest(take(prepared.evaluator.inputs, places))])
    known[np.isnan(found.margin)] = np.nan
    return found.model_copy(update={"nll": known[:, 0].copy(), "kl": known[:, 1].copy()})
