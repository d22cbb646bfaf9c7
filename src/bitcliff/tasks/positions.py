"""A class at each of many positions: tokens of a text, frames of a sound, pixels of an image."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.subject import MASK, Inputs


@dataclass(frozen=True)
class Positions:
    """The network gives scores (batch, positions, classes), or (batch, classes, height, width).

    Attributes:
        most: share of the positions that may be decided otherwise, and no more.
    """

    most: float = 0.0

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return "positions" if self.most == 0 else f"positions:{self.most:g}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        if self.most == 0:
            return "whether the class at every position is float's own"
        return f"whether at most {100 * self.most:g} % of positions have another class than float"

    def decided(self, output: Tensor, inputs: Inputs) -> Int[Tensor, "batch positions"]:
        """The class at each."""
        return by_position(output).argmax(2).int()

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """That of float's class at the position that is the first too many to be lost."""
        leads = leads_by_position(by_position(output), decided)
        valid = valid_positions(inputs, leads.shape)
        found = []
        for lead, whole in zip(leads, valid, strict=True):
            mine = lead[whole]
            place = min(math.floor(self.most * len(mine)), len(mine) - 1)
            found.append(mine.sort().values[place])
        return torch.stack(found)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """Of the positions, those with float's class."""
        same = self.decided(output, inputs) == decided
        valid = valid_positions(inputs, same.shape)
        return (same & valid).sum(1) / valid.sum(1)


def by_position(output: Tensor) -> Float[Tensor, "batch positions classes"]:
    """Scores by position, classes last.

    Raises:
        InputError: it is neither (batch, positions, classes) nor (batch, classes, height, width).
    """
    if output.ndim not in (3, 4) or not output.is_floating_point():
        raise InputError(
            "the model must give scores (batch, positions, classes) or (batch, classes, height, "
            f"width), but gave shape {tuple(output.shape)}"
        )
    scores = output if output.ndim == 3 else output.flatten(2).transpose(1, 2)
    if scores.shape[2] > 1:
        return scores
    # One class or not: probabilities of it, or log-odds.
    return torch.cat([torch.full_like(scores, 0.5 if _are_shares(scores) else 0.0), scores], 2)


def _are_shares(scores: Tensor) -> bool:
    return bool((scores >= 0).all() and (scores <= 1).all())


def leads_by_position(
    scores: Float[Tensor, "batch positions classes"], decided: Int[Tensor, "batch positions"]
) -> Float[Tensor, "batch positions"]:
    """Of each decided class over the best other; of probabilities, of their logarithms."""
    if _are_shares(scores):
        scores = scores.clamp(min=torch.finfo(torch.float32).tiny).log()
    chosen = decided.long()[:, :, None]
    own = scores.gather(2, chosen)[:, :, 0]
    return own - scores.scatter(2, chosen, float("-inf")).amax(2)


def valid_positions(inputs: Inputs, shape: torch.Size) -> Bool[Tensor, "batch positions"]:
    """All but the padding, where a mask tells which that is."""
    mask = inputs.get(MASK) if isinstance(inputs, Mapping) else None
    if mask is None or mask.shape != shape:
        return torch.ones(shape, dtype=torch.bool)
    return mask != 0
