"""Whether a runtime can run the network at all, asked before any long work."""

import torch

from bitcliff.assess.suite import Suite
from bitcliff.errors import InputError
from bitcliff.points import take
from bitcliff.types.runtime import Runtime


def check_runtime(runtime: Runtime, suite: Suite, classes: int) -> None:
    """One example and one batch, before any long work.

    Raises:
        InputError: it cannot run them, or gives something else than a score for each class.
    """
    for size in (1, suite.evaluator.batch_size) if runtime.batches else (1,):
        scores = runtime.run(take(suite.evaluator.inputs, torch.arange(size)))
        if scores.shape != (size, classes):
            raise InputError(
                f"--runtime {runtime.name}: it gives {tuple(scores.shape)} for {size} examples "
                f"and not ({size}, {classes}), as the network in float does"
            )
