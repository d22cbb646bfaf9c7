"""A run whose batches others run."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from bitcliff.audit.batches import Elsewhere, Run
from bitcliff.audit.evaluator import Evaluator
from bitcliff.points.forward import batch_size

Workers = Callable[[dict[str, Any]], AbstractContextManager[Run | None]]
"""From a run's configuration to what runs its batches, as long as the context lasts."""


def here(_config: dict[str, Any]) -> AbstractContextManager[None]:
    """Nobody else does: all is run in this process."""
    return nullcontext()


@contextmanager
def shared_out(
    evaluator: Evaluator, workers: Workers, config: dict[str, Any], tell: Callable[[str], None]
) -> Iterator[None]:
    """Have the workers run what is asked of the evaluator on its own data.

    Args:
        tell: is told in a sentence how much there is to share out.
    """
    with workers(config) as run:
        if run is not None:
            evaluator.elsewhere = Elsewhere(evaluator.attachment, evaluator.inputs, run)
            tell(_how_much(evaluator))
        try:
            yield
        finally:
            evaluator.elsewhere = None


def _how_much(evaluator: Evaluator) -> str:
    """With a batch or two most workers would have nothing to do."""
    batches = len(list(evaluator.batches_of(torch.arange(batch_size(evaluator.inputs)))))
    many = "1 batch" if batches == 1 else f"{batches} batches"
    return (
        f"Shared out: {many} of {evaluator.batch_size} in a pass over all examples; a smaller "
        "--batch-size makes more of them"
    )
