"""Scores behind a last softmax or sigmoid, brought back to logits.

A network that is sure of itself gives exact ones and zeros: margins of exactly 1 and no gradient,
so that whoever follows either sees nothing. Decisions are the same on both sides.
"""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor, nn

from bitcliff.points.operations import Function
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat

FinalActivation = Literal["none", "softmax", "sigmoid"]

# Probabilities in half precision sum to one no better than this.
_SUM_TOLERANCE = 2e-3
# Half of the least float32 that no processor takes for zero, and half of what the greatest below 1
# lacks to it.
_LEAST, _LEAST_LACKING = 2.0**-127, 2.0**-25

FUNCTIONS: dict[FinalActivation, frozenset[Function]] = {
    "none": frozenset(),
    "softmax": frozenset({F.softmax, torch.softmax, torch.special.softmax, Tensor.softmax}),
    "sigmoid": frozenset({F.sigmoid, torch.sigmoid, torch.special.expit, Tensor.sigmoid}),
}
"""The calls that may be it, out of place."""


def final_activation(scores: Float[Tensor, "n classes"]) -> FinalActivation:
    """Rows in [0, 1] that sum to one are of a softmax, others in [0, 1] of sigmoids.

    Rows that are not finite say nothing.
    """
    rows = scores[torch.isfinite(scores).all(1)].double()
    if not len(rows) or bool((rows < 0).any() | (rows > 1).any()):
        return "none"
    sums = bool(((rows.sum(1) - 1).abs() < _SUM_TOLERANCE).all())
    return "softmax" if sums else "sigmoid"


def final_of(model: nn.Module, scores: Float[Tensor, "n classes"]) -> FinalActivation:
    """What a network's scores come out of; leads over float, whatever they are, of nothing."""
    against_float = isinstance(task_of(model), AgainstFloat)
    return "none" if against_float else final_activation(scores)


def to_logits(
    scores: Float[Tensor, "n classes"], activation: FinalActivation
) -> Float[Tensor, "n classes"]:
    """Logarithms of a softmax's probabilities, log-odds of sigmoids'; float64, of the same order.

    Of what a float32 holds as 0 or 1 they are finite: a lead is at most 88 nats behind a softmax,
    and of two sigmoids that both give 1 none leads.
    """
    if activation == "none":
        return scores
    found = scores.double()
    logarithm = found.clamp(min=_LEAST).log()
    if activation == "softmax":
        return logarithm
    return logarithm - (1 - found).clamp(min=_LEAST_LACKING).log()
