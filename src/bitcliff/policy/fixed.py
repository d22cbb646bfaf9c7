"""Policies whose allocations are given: the same for all points, for all examples, or one each."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.policy.base import Batch, Policy


class Static(Policy):
    """One allocation (L,) for every example."""

    def __init__(self, bits: Int[Tensor, " points"]) -> None:
        options = sorted(set(bits.tolist()))
        super().__init__(len(bits), options, int(bits.sum()))
        self.bits = bits

    def allocate(self, batch: Batch) -> Int[Tensor, "batch points"]:
        return self.bits.expand(len(batch.index), -1)


class Uniform(Static):
    """The same width at every point."""

    def __init__(self, points: int, bits: int) -> None:
        super().__init__(torch.full((points,), bits))


class PerExample(Policy):
    """A table: one allocation for each example of the data, looked up by its index there.

    Args:
        bits: (n, L), every row with the same total.
        options: the widths allowed; those in the table by default.
    """

    def __init__(self, bits: Int[Tensor, "n points"], options: Sequence[int] | None = None) -> None:
        totals = bits.sum(1).unique().tolist()
        if len(totals) != 1:
            raise InputError(f"the rows of a per-example policy have different totals: {totals}")
        allowed = sorted(set(bits.flatten().tolist())) if options is None else options
        super().__init__(bits.shape[1], allowed, totals[0])
        self.bits = bits

    def allocate(self, batch: Batch) -> Int[Tensor, "batch points"]:
        return self.bits[batch.index]
