"""How a condition of a run is run once more, on the run's examples or on changed ones."""

from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.audit.prepare import Prepared
from bitcliff.record import Condition

Rerun = Callable[[Evaluator, Int[Tensor, " m"], Int[Tensor, " m"]], Scores]
"""Scores of rows of an evaluator's data, in batches of its size; the rows are of these examples, by
place in the run."""


def in_batches(evaluator: Evaluator, condition: Condition) -> Evaluator:
    """The evaluator in batches of the condition's own size, where that matters to it."""
    size = condition.batch_size
    return evaluator if size is None else replace(evaluator, batch_size=size)


def rerun(
    prepared: Prepared, condition: Condition, bits: Int[Tensor, "n points"] | None = None
) -> Rerun | None:
    """The condition itself, whatever the data; None of one that has a format for each layer.

    Args:
        bits: what it allocates, for each of the run's examples; None where it shows none.
    """
    if bits is not None:
        return lambda data, rows, places: data.scores(rows, bits[places])
    if condition.numerics is not None:
        formats = (prepared.settings.format_of(condition.numerics),) * len(prepared.points)
        return lambda data, rows, _places: data.format_scores(rows, formats)
    for runtime in prepared.runtimes:
        if runtime.name == condition.runtime:
            run = runtime.run
            return lambda data, rows, _places: data.runtime_scores(rows, run, data.batch_size)
    if condition.kind == "weights-only":
        return lambda data, rows, _places: data.weights_only_scores(rows)
    return None
