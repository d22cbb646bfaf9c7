"""Random policies: uniform over all allocations of exactly the budget."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.budget import sample_allocations
from bitcliff.policy.base import Batch, Policy
from bitcliff.policy.fixed import Static


class RandomPerExample(Policy):
    """A draw for each example; an example's draw depends on the seed and its index alone."""

    def __init__(
        self,
        points: int,
        options: Sequence[int],
        total: int,
        seed: int,
        floors: Sequence[int] | None = None,
    ) -> None:
        super().__init__(points, options, total)
        self.seed = seed
        self.floors = floors

    def allocate(self, batch: Batch) -> Int[Tensor, "batch points"]:
        # All from the first index on: the draws of lower ones do not depend on how many follow.
        upto = int(batch.index.max()) + 1
        rng = np.random.default_rng(self.seed)
        drawn = draw_allocations(upto, self.points, self.options, self.total, rng, self.floors)
        return drawn[batch.index]


class RandomStatic(Static):
    """One draw for all examples."""

    def __init__(
        self,
        points: int,
        options: Sequence[int],
        total: int,
        seed: int,
        floors: Sequence[int] | None = None,
    ) -> None:
        rng = np.random.default_rng(seed)
        super().__init__(draw_allocations(1, points, options, total, rng, floors)[0])


def draw_allocations(
    n: int,
    points: int,
    options: Sequence[int],
    total: int,
    rng: np.random.Generator,
    floors: Sequence[int] | None = None,
) -> Int[Tensor, "n points"]:
    """n draws as bit-widths, uniform over all allocations of exactly `total` bits.

    `floors`: the least width at each point; None: every option everywhere.
    """
    chosen = sample_allocations(n, points, list(options), total, rng, floors)
    return torch.tensor(options)[chosen]
