"""How likely a language model finds the texts themselves, and how far that is from float."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.prepare import Prepared
from bitcliff.audit.rerun import in_batches, rerun
from bitcliff.points.forward import output_of
from bitcliff.record import Condition, Outcomes, Table
from bitcliff.tasks import NextToken, judge_as, task_of
from bitcliff.tasks.against_float import digests, every_digest
from bitcliff.types.subject import IDS, AllInputs, Inputs, Texts


@dataclass
class _Noting:
    """The task itself, which notes of each text its negative log-likelihood and its divergence from
    float, in nats, summed over the tokens that follow another. `in_float`: None: this is float."""

    task: NextToken
    in_float: Callable[[Inputs], Tensor] | None
    noted: dict[bytes, tuple[float, float]] = field(default_factory=dict)
    name: str = NextToken.name
    words: str = NextToken.words
    decisions: tuple[str, ...] | None = None

    def scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch tokens"]:
        """Its own."""
        if isinstance(inputs, Texts):
            before = output if self.in_float is None else self.in_float(inputs)
            for place, row in enumerate(digests(inputs)):
                ids = inputs[IDS][place]
                self.noted[row] = _in_nats(output[place], before[place], ids)
        return self.task.scores(output, inputs)

    def scores_before(self, given: Tensor, inputs: Inputs) -> Float[Tensor, "batch tokens"]:
        """The same."""
        return self.task.scores_before(given, inputs)


def _in_nats(output: Tensor, before: Tensor, ids: Tensor) -> tuple[float, float]:
    """(positions, tokens) twice, and what the text says: negative log-likelihood, KL from float."""
    own, was = (one[:-1].double().log_softmax(1) for one in (output, before))
    follow = ids[1:].to(own.device)
    unlikely = -own.gather(1, follow[:, None]).sum()
    apart = (was.exp() * (was - own)).where(was > -torch.inf, 0.0).sum()
    return float(unlikely), float(apart.clamp(min=0.0))


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
    with _noting(prepared, itself=True) as noted:
        _here(prepared.evaluator).float_scores(prepared.everyone)
    found = _of(noted, inputs)
    if found is None:
        return table
    tokens = (inputs.lengths - 1).numpy().astype(np.int32)
    return table.model_copy(update={"nll": found[:, 0].copy(), "tokens": tokens})


def with_likelihood(
    prepared: Prepared, condition: Condition, bits: Tensor | None, found: Outcomes
) -> Outcomes:
    """Outcomes with the same of a condition, run once more; unchanged where it cannot be."""
    run = rerun(prepared, condition, bits)
    if run is None or not has_likelihood(prepared) or (condition.batch_size or 1) > 1:
        return found
    evaluator = _here(in_batches(prepared.evaluator, condition))
    places = torch.from_numpy(found.index.astype(np.int64))
    with _noting(prepared) as noted:
        run(evaluator, places, torch.arange(len(places)))
    sums = _of(noted, evaluator.inputs)
    if sums is None:
        return found
    sums = sums[found.index]
    sums[np.isnan(found.margin)] = np.nan
    return found.model_copy(update={"nll": sums[:, 0].copy(), "kl": sums[:, 1].copy()})


def _here(evaluator: Evaluator) -> Evaluator:
    """The same in this process, where what a task notes can be read."""
    return replace(evaluator, elsewhere=None)


@contextmanager
def _noting(prepared: Prepared, itself: bool = False) -> Iterator[dict[bytes, tuple[float, float]]]:
    """`itself`: float is what is run, and need not be run beside."""
    module, task = prepared.subject.module, task_of(prepared.subject.module)
    assert isinstance(task, NextToken)  # noqa: S101  (see `has_likelihood`)

    def in_float(inputs: Inputs) -> Tensor:
        with torch.no_grad():
            return output_of(module, inputs)

    noting = _Noting(task, None if itself else in_float)
    judge_as(module, noting)
    try:
        yield noting.noted
    finally:
        judge_as(module, task)


def _of(
    noted: dict[bytes, tuple[float, float]], inputs: AllInputs
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]] | None:
    """(n, 2) by place in the data, NaN where an example was not run; None: nothing was noted."""
    if not noted:
        return None
    unknown = (np.nan, np.nan)
    return np.array([noted.get(row, unknown) for row in every_digest(inputs)], dtype=np.float64)
