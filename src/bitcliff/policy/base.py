"""The one protocol of all policies: checks here, the choice itself in `allocate`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.errors import BitcliffError, InputError
from bitcliff.types.subject import AllInputs


@dataclass(frozen=True)
class Batch:
    """What a policy sees.

    Attributes:
        inputs: the examples, as the model gets them, read or not.
        index: (batch,) each example's index in the whole data, for policies that look theirs up.
    """

    inputs: AllInputs
    index: Int[Tensor, " batch"]


class Policy(ABC):
    """Gives every example of a batch bits at L points, with the same exact total.

    Attributes:
        points: L. options: the widths it may choose. total: the cost of every allocation, bits.
        origin: where it comes from, in words for the record. sha256: of the file it was read from,
            if it was.
    """

    origin: str = ""
    sha256: str | None = None

    def __init__(self, points: int, options: Sequence[int], total: int) -> None:
        if points < 1:
            raise InputError(f"a policy needs at least one point, not {points}")
        self.points = points
        self.options: tuple[int, ...] = tuple(options)
        self.total = total

    @final
    def __call__(self, batch: Batch) -> Int[Tensor, "batch points"]:
        """Bit-widths (batch, L), each row summing to exactly `total`.

        Raises:
            BitcliffError: the policy broke its word; a defect in the policy, never in the data.
        """
        bits = self.allocate(batch)
        name = type(self).__name__
        if bits.shape != (len(batch.index), self.points):
            raise BitcliffError(f"{name} gave {tuple(bits.shape)}, not (batch, {self.points})")
        if not bool(torch.isin(bits, torch.tensor(self.options)).all()):
            raise BitcliffError(f"{name} gave widths outside {list(self.options)}")
        if not bool((bits.sum(1) == self.total).all()):
            raise BitcliffError(f"{name} allocated other than its {self.total} bits")
        return bits

    @abstractmethod
    def allocate(self, batch: Batch) -> Int[Tensor, "batch points"]:
        """The bit-widths; `__call__` checks them."""
