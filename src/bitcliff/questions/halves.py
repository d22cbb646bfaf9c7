"""Two halves of the examples: one decides what is recommended, the other one shows it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# A half must hold two examples or more.
_FEWEST_FOR_HALVES = 4
# To choose among all there is, and to show the one chosen: with fewer in a half, an interval says
# next to nothing.
_FEWEST_TO_HOLD_OUT = 20

Places = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Halves:
    """The n examples in two halves; the first is empty with too few.

    Attributes:
        half: the places of the first.
    """

    n: int
    half: Places

    @property
    def everyone(self) -> Places:
        """All places."""
        return np.arange(self.n, dtype=np.int32)

    @property
    def rest(self) -> Places:
        """The places of the other half."""
        return np.setdiff1d(self.everyone, self.half)

    @property
    def held_out(self) -> bool:
        """Whether there are enough to choose on `half` and to confirm on `rest`."""
        return self.n >= _FEWEST_TO_HOLD_OUT and len(self.half) > 0

    @property
    def judging(self) -> Places:
        """The places on which it is decided what to try and what to recommend."""
        return self.half if self.held_out else self.everyone

    @property
    def problems(self) -> Iterator[str]:
        """What is wrong with the first half, as stored."""
        size = half_size(self.n)
        wrong = len(self.half) and not 0 <= self.half.min() <= self.half.max() < self.n
        if wrong or len(self.half) != size or len(set(self.half.tolist())) < size:
            yield f"half is not {size} places of {self.n} examples, each once"


def half_size(n: int) -> int:
    """How many of n examples are in the first half."""
    return n // 2 if n >= _FEWEST_FOR_HALVES else 0
