"""A class at each of many positions: tokens of a text, frames of a sound, pixels of an image."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from bitcliff.errors import InputError
from bitcliff.types.subject import Inputs, mask_over

# In maps of classes, by custom, a pixel of none.
_NOTHING = 255


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
            return "whether the class at every position is {own}"
        return f"whether at most {100 * self.most:g} % of positions have another class than {{own}}"

    def decided(self, output: Tensor, inputs: Inputs) -> Int[Tensor, "batch positions"]:
        """The class at each."""
        return by_position(output).argmax(2).int()

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """That of float's class at the position that is the first too many to be lost."""
        leads = leads_by_position(by_position(output), decided)
        valid = valid_positions(inputs, leads.shape) & (decided >= 0)
        found = []
        for lead, whole in zip(leads, valid, strict=True):
            mine = lead[whole]
            place = min(math.floor(self.most * len(mine)), len(mine) - 1)
            found.append(mine.sort().values[place])
        return torch.stack(found)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """Of the positions, those with float's class."""
        same = self.decided(output, inputs) == decided
        valid = valid_positions(inputs, same.shape) & (decided >= 0)
        return (same & valid).sum(1) / valid.sum(1)

    def told(self, output: Tensor, target: Tensor) -> Int[Tensor, "1 positions"]:
        """Classes, -1 where nothing is wanted.

        Args:
            target: (positions,), or (height, width) of any size, of which the nearest pixel is
                taken; 255 of a map, or a negative class, says nothing of a position.

        Raises:
            InputError: of another shape than the output; of classes that it has not; of none.
        """
        classes = by_position(output).shape[2]
        wanted = target.flatten().long()
        if output.ndim == 4 and target.ndim == 2:
            size = (int(output.shape[2]), int(output.shape[3]))
            near = F.interpolate(target[None, None].double(), size, mode="nearest-exact")
            wanted = near.flatten().long()
            wanted[wanted == _NOTHING] = -1
        if len(wanted) != by_position(output).shape[1] or target.ndim > output.ndim - 2:
            raise InputError(
                f"a label of shape {tuple(target.shape)} is not of an output of shape "
                f"{tuple(output.shape[1:])}"
            )
        if int(wanted.max()) >= classes or not bool((wanted >= 0).any()):
            raise InputError(
                f"a label has class {int(wanted.max())} at most: the model's classes are 0 to "
                f"{classes - 1}, and one position at least must have one"
            )
        return wanted.clamp(min=-1)[None].int()


@dataclass(frozen=True)
class MeanIou(Positions):
    """The same, and how much of an outcome is as wanted is the mean over its classes of
    intersection over union, as segmentation is measured."""

    most: float = 0.01

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return f"iou:{self.most:g}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return f"{super().words}; how much of each is so is the mean IoU of its classes"

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """Over the classes that either has somewhere."""
        scores = by_position(output)
        own = scores.argmax(2)
        valid = valid_positions(inputs, own.shape).to(own.device) & (decided >= 0)
        found = []
        for ours, theirs, whole in zip(own, decided, valid, strict=True):
            counts = [
                torch.bincount(one, minlength=scores.shape[2]).double()
                for one in (ours[whole], theirs[whole].long(), ours[whole & (ours == theirs)])
            ]
            either = counts[0] + counts[1] - counts[2]
            found.append((counts[2] / either)[either > 0].mean())
        return torch.stack(found)


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


def in_logarithms(
    scores: Float[Tensor, "*positions classes"],
) -> Float[Tensor, "*positions classes"]:
    """Logarithms of probabilities, whether the scores are these or their logits."""
    if _are_shares(scores):
        return scores.clamp(min=torch.finfo(torch.float32).tiny).log()
    return scores.log_softmax(-1)


def leads_by_position(
    scores: Float[Tensor, "batch positions classes"], decided: Int[Tensor, "batch positions"]
) -> Float[Tensor, "batch positions"]:
    """Of each decided class over the best other; of probabilities, of their logarithms.

    Below zero also where another class has just as much and comes first, which is decided then.
    """
    given, scores = scores, in_logarithms(scores) if _are_shares(scores) else scores
    chosen = decided.long().clamp(min=0)[:, :, None]
    own = scores.gather(2, chosen)[:, :, 0]
    lead = own - scores.scatter(2, chosen, float("-inf")).amax(2)
    if not bool((lead == 0).any()):
        return lead
    return just_below(lead, given.argmax(2) != chosen[:, :, 0])


def just_below(
    lead: Float[Tensor, "*any"], otherwise: Bool[Tensor, "*any"]
) -> Float[Tensor, "*any"]:
    """The same, but a lead of zero is a loss where it is decided otherwise, as formats of few
    values let scores be the same to the bit."""
    return lead - torch.finfo(lead.dtype).tiny * ((lead == 0) & otherwise)


def valid_positions(inputs: Inputs, shape: torch.Size) -> Bool[Tensor, "batch positions"]:
    """All but the padding, where a mask tells which that is."""
    mask = mask_over(inputs, shape)
    return torch.ones(shape, dtype=torch.bool) if mask is None else mask != 0
