"""What a search looks for: allocations that make a group of examples fare as badly as can be found.

One form serves three questions. Worst per example: every example is a group of its own. Worst
static: all examples share one group, hence one allocation. Best: the sign turned round. Options are
bit-widths, or numbers of formats.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from bitcliff.budget import forbid_below, solve

# A decision that is lost by this share of the usual float margin is clear-cut: searching on would
# add nothing, and one lost by less may hang on a machine's last digits.
_CLEAR_SHARE = 0.5


@runtime_checkable
class Runner(Protocol):
    """What runs the network under allocations.

    `scale` is the usual size of a float margin.
    """

    @property
    def scale(self) -> float: ...

    def margins(
        self, index: Int[Tensor, " m"], bits: Int[Tensor, "m points"]
    ) -> Float[Tensor, " m"]:
        """Of the examples, each under its row of options; +inf on a numeric failure."""

    def gradients(
        self, index: Int[Tensor, " m"], bits: Int[Tensor, "m points"], options: Int[Tensor, " o"]
    ) -> Float[Tensor, "m points o"]:
        """d margin / d choice."""


@dataclass(frozen=True)
class Problem:
    """A search space and its objective.

    Attributes:
        evaluator: runs the network.
        index: (m,) the examples, by their place in the data.
        groups: (m,) the allocation each example uses, 0..G-1.
        options: (O,) widths, or numbers of formats in the order of their cost. total: what each
            allocation costs, exactly.
        sign: +1 to lower margins (worst), -1 to raise them (best).
        floors: the least width at each point; None: every option everywhere.
        costs: (O,) of each option, where that is not its width.
        enough: by what share of the usual float margin a decision is to be lost, or kept, for a
            group to need no more searching.
    """

    evaluator: Runner
    index: Int[Tensor, " m"]
    groups: Int[Tensor, " m"]
    options: Int[Tensor, " o"]
    total: int
    sign: int = 1
    floors: Sequence[int] | None = None
    costs: Int[Tensor, " o"] | None = None
    enough: float = _CLEAR_SHARE

    @property
    def prices(self) -> Int[Tensor, " o"]:
        """(O,) what each option costs."""
        return self.options if self.costs is None else self.costs

    @property
    def shared(self) -> bool:
        """Whether examples share allocations."""
        return self.size < len(self.index)

    @property
    def clear(self) -> float:
        """The cost below which a group needs no more searching."""
        return -self.enough * self.evaluator.scale

    @cached_property  # asked for at each move
    def steps(self) -> Int[Tensor, "steps 1 1"]:
        """By how much a point's cost can go up or down; 0 where options cost alike."""
        prices = self.prices
        distances: Int[Tensor, " d"] = (prices[:, None] - prices).abs().unique()
        alike = len(prices.unique()) < len(prices)
        return distances[0 if alike else 1 :, None, None]

    @property
    def size(self) -> int:
        """G, the number of allocations looked for."""
        return int(self.groups.max()) + 1

    def objective(
        self, bits: Int[Tensor, "g points"], only: Int[Tensor, " g"]
    ) -> Float64[Tensor, " g"]:
        """Lower is better for the search. `bits` are the allocations of the groups in `only`."""
        row_of = torch.full((self.size,), -1).scatter(0, only, torch.arange(len(only)))
        rows = row_of[self.groups]
        used = rows >= 0
        margins = self.evaluator.margins(self.index[used], bits[rows[used]])
        cost = torch.where(margins.isinf(), torch.inf, self.sign * margins)
        if self.shared:
            cost = _shared_cost(cost, self.clear)
        total = torch.zeros(len(only), dtype=cost.dtype).index_add(0, rows[used], cost)
        return total / torch.bincount(rows[used], minlength=len(only))

    def gradients(
        self, bits: Int[Tensor, "g points"], only: Int[Tensor, " g"]
    ) -> Float[Tensor, "g points o"]:
        """d objective / d choice for the groups in `only`, whose allocations `bits` are."""
        row_of = torch.full((self.size,), -1).scatter(0, only, torch.arange(len(only)))
        rows = row_of[self.groups]
        used = rows >= 0
        each = self.sign * self.evaluator.gradients(
            self.index[used], bits[rows[used]], self.options
        )
        summed = torch.zeros(len(only), *each.shape[1:], dtype=each.dtype)
        return summed.index_add(0, rows[used], each)

    def cheapest(self, table: Float[Tensor, "g points o"]) -> Int[Tensor, "g points"]:
        """The allocations that minimise the sum of `table` under the exact budget."""
        prices, values = self.prices.tolist(), -table
        if self.floors is not None:
            values = forbid_below(values, prices, self.floors)
        return self.options[solve(values, prices, self.total)]

    def forbidden(self, points: int) -> Bool[Tensor, "points o"]:
        """Which widths lie below their point's floor."""
        floors = torch.tensor(self.floors or [0] * points)
        return self.options < floors[:, None]

    def choice(self, bits: Int[Tensor, "g points"]) -> Int[Tensor, "g points"]:
        """Options to their indices."""
        return torch.searchsorted(self.options, bits)

    def nearest(self, wanted: Float[Tensor, "g points"]) -> Int[Tensor, "g points"]:
        """The allocations whose costs lie nearest to `wanted` (least squares)."""
        return self.cheapest((self.prices - wanted[:, :, None]).double().square())


@dataclass
class Best:
    """The best allocations found so far, one a group.

    Attributes:
        bits: (G, L). cost: (G,) the objective there.
    """

    problem: Problem
    bits: Int[Tensor, "g points"]
    cost: Float64[Tensor, " g"] = field(init=False)

    _tried: list[set[bytes]] = field(init=False)

    def __post_init__(self) -> None:
        self._tried = [set() for _ in self.bits]
        self.cost = torch.full((len(self.bits),), torch.inf, dtype=torch.float64)

    def offer(
        self, bits: Int[Tensor, "g points"], only: Int[Tensor, " g"] | None = None
    ) -> Bool[Tensor, " g"]:
        """Evaluate candidates, keep those that are better; which were."""
        only = torch.arange(len(self.bits)) if only is None else only
        cost = self.problem.objective(bits, only)
        return self.keep(bits, cost, only)

    def keep(
        self,
        bits: Int[Tensor, "g points"],
        cost: Float64[Tensor, " g"],
        only: Int[Tensor, " g"],
    ) -> Bool[Tensor, " g"]:
        """The same for candidates whose cost is known."""
        for group, row in zip(only.tolist(), bits.tolist(), strict=True):
            self._tried[group].add(bytes(row))
        better = cost < self.cost[only]
        self.bits[only[better]] = bits[better]
        self.cost[only[better]] = cost[better]
        return better

    def is_new(self, group: int, bits: Sequence[int]) -> bool:
        """Whether the group was never evaluated under this allocation."""
        return bytes(bits) not in self._tried[group]


def _shared_cost(cost: Float64[Tensor, " m"], least: float) -> Float64[Tensor, " m"]:
    """Costs that may be added up: none counted lost beyond `least`, and a numeric failure no gain.

    A failure costs as much as the safest example: it neither draws the search nor, where an example
    fails under every allocation, hides all others from it.
    """
    finite = cost[torch.isfinite(cost)]
    if len(finite) == 0:
        return cost
    return torch.where(torch.isfinite(cost), cost, finite.max()).clamp(min=least)


def even_allocation(problem: Problem, points: int) -> Int[Tensor, "g points"]:
    """The most even allocation of the total: uniform where that is feasible."""
    wanted = torch.full((problem.size, points), problem.total / points, dtype=torch.float64)
    return problem.nearest(wanted)


def generator(*seed: int) -> np.random.Generator:
    """A random stream of its own for each search."""
    return np.random.default_rng(seed)
