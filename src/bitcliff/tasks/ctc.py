"""A string, read off a sequence of frames by connectionist temporal classification."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.tasks.positions import by_position, in_logarithms, leads_by_position
from bitcliff.types.subject import Inputs

# Of a lead whose sign the frames do not give: a string may stay though a frame changes.
_LEAST = 1e-6


@dataclass(frozen=True)
class Ctc:
    """The network gives scores (batch, frames, symbols), of which one is the blank.

    A label is a string of symbols.

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
        return "whether the string that is read (by CTC) is {own}"

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
        """One less the error rate of the symbols, none below 0: insertions, deletions and
        substitutions against the length of what is wanted."""
        rates = []
        for ours, theirs in zip(by_position(output).argmax(2), decided, strict=True):
            wanted = self.read(theirs)
            errors = Levenshtein.distance(self.read(ours), wanted)
            rates.append(errors / len(wanted) if wanted else float(errors > 0))
        return 1 - torch.tensor(rates).clamp(max=1)

    @property
    def passes(self) -> int:
        """None: it hears no symbols of its own."""
        return 0

    def symbols(self, output: Tensor, inputs: Inputs) -> list[tuple[int, ...]]:
        """The string."""
        return [tuple(self.read(path)) for path in by_position(output).argmax(2)]

    def followed(
        self, inputs: Inputs, rows: Int[Tensor, " rows"], own: Sequence[tuple[int, ...]]
    ) -> Inputs:
        """The same."""
        return inputs

    def told(self, output: Tensor, target: Tensor) -> Int[Tensor, "1 frames"]:
        """The best path through the frames that reads as the label.

        Args:
            target: (length,) symbols; negative ones, and blanks, fill up.

        Raises:
            InputError: there are too few frames, or too few symbols, for it.
        """
        scores = by_position(output)[0]
        symbols = [int(one) for one in target.tolist() if one >= 0 and one != self.blank]
        if max(symbols, default=0) >= scores.shape[1]:
            raise InputError(
                f"a label has symbol {max(symbols)}, but the model gives scores of "
                f"{scores.shape[1]}, from 0"
            )
        return _aligned(in_logarithms(scores.double()), symbols, self.blank)[None].int()

    def read(self, path: Tensor) -> list[int]:
        """Symbols without repeats and blanks."""
        merged = torch.unique_consecutive(path).tolist()
        return [symbol for symbol in merged if symbol != self.blank]


def _aligned(
    scores: Float64[Tensor, "frames symbols"], symbols: list[int], blank: int
) -> Int[Tensor, " frames"]:
    """The path of the largest sum that reads as these symbols (Viterbi's).

    Raises:
        InputError: the frames are too few.
    """
    # A blank may stand before, between and after the symbols; between two alike it must.
    states = torch.tensor([blank] + [one for symbol in symbols for one in (symbol, blank)])
    skips = torch.zeros(len(states), dtype=torch.bool)
    skips[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    own = scores[:, states]
    best = torch.full_like(own[0], -torch.inf)
    best[:2] = own[0, :2]
    came = []
    for frame in own[1:]:
        padded = torch.cat([best.new_full((2,), -torch.inf), best])
        ways = torch.stack([best, padded[1:-1], padded[:-2].where(skips, -torch.inf)])
        best, way = ways.max(0)
        best = best + frame
        came.append(way)
    state = len(states) - 2 + int(best[-2:].argmax()) if symbols else 0
    if best[state] == -torch.inf:
        raise InputError(
            f"a label of {len(symbols)} symbols does not go into the {len(scores)} frames that "
            "the model gives"
        )
    path = [state]
    for way in reversed(came):
        path.append(path[-1] - int(way[path[-1]]))
    return states[torch.tensor(path[::-1])]
