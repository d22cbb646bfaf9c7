"""A string, read off a sequence of frames by connectionist temporal classification."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitcliff.tasks.positions import by_position, leads_by_position
from bitcliff.types.subject import Inputs

# Of a lead whose sign the frames do not give: a string may stay though a frame changes.
_LEAST = 1e-6


@dataclass(frozen=True)
class Ctc:
    """The network gives scores (batch, frames, symbols), of which one is the blank.

    Attributes:
        blank: its number.
    """

    blank: int = 0

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return "ctc" if self.blank == 0 else f"ctc:{self.blank}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return "whether the string that is read (by CTC) is float's own"

    def decided(self, output: Tensor, inputs: Inputs) -> Int[Tensor, "batch frames"]:
        """The best symbol of each frame."""
        return by_position(output).argmax(2).int()

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """That of float's path at its weakest frame, with the sign that the strings give."""
        scores = by_position(output)
        weakest = leads_by_position(scores, decided).amin(1)
        alike = torch.tensor(
            [
                self.read(ours) == self.read(theirs)
                for ours, theirs in zip(scores.argmax(2), decided, strict=True)
            ],
            device=output.device,
        )
        # The gradient stays that of the frames.
        signed = torch.where(alike, weakest.clamp(min=_LEAST), weakest.clamp(max=-_LEAST))
        return weakest + (signed - weakest).detach()

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """Of the frames, those with float's symbol."""
        return (by_position(output).argmax(2) == decided).float().mean(1)

    def read(self, path: Tensor) -> list[int]:
        """Symbols without repeats and blanks."""
        merged = torch.unique_consecutive(path).tolist()
        return [symbol for symbol in merged if symbol != self.blank]
