"""The worst case looked for anew as an adversary's narrowest options are taken away one by one.

Only examples that were lost before, under bits which are no longer left, are searched: what was not
found with more options is not looked for again with fewer. Of these the allocation that is nearest
to those bits is tried first, and only examples that it does not lose are searched, from the even
allocation on, until they are lost, by however little.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.outcomes import predictions_of
from bitcliff.audit.prepare import Prepared
from bitcliff.audit.schedule import Schedule
from bitcliff.audit.search import Best, Problem, even_allocation, generator, gradient_search
from bitcliff.budget import count_allocations
from bitcliff.questions.least_widths.record import CutObserved, LeastWidthsObserved
from bitcliff.questions.least_widths.statistics import Classes, Walk, beginning, right_in_float
from bitcliff.record import Condition, Effort
from bitcliff.record.arrays import classes

Keep = Callable[[str, Callable[[], CutObserved]], CutObserved]
"""What was kept under a name, or else made now and kept."""


def observe_least_widths(
    schedule: Schedule,
    keep: Keep = lambda _name, make: make(),
    progress: Callable[[str, int, int], None] = lambda _name, _done, _whole: None,
) -> LeastWidthsObserved | None:
    """Every worst case per example of a run, cut from below; None where nothing can be cut.

    Args:
        schedule: that has measured them.
        progress: told what is at work, how many are done, and of how many.
    """
    prepared = schedule.prepared
    labels = prepared.examples.labels
    in_float = classes(predictions_of(prepared.in_float))
    right = right_in_float(in_float, in_float if labels is None else classes(labels.tolist()))
    worst = [one for one in schedule.done.values() if one.condition.kind == "worst"]
    walks = {one.name: beginning(right, one.outcomes) for one in worst}
    ways = [(one, cut) for one in worst for cut in _cuts(prepared, one.condition)]
    cuts = list[CutObserved]()
    for number, (one, cut) in enumerate(ways):
        name = f"{one.name}, at least {cut.least} bits"
        progress(name, number, len(ways))
        cuts.append(keep(name, partial(cut.observe, walks[one.name])))
        walks[one.name] = walks[one.name].after(cuts[-1])
    if not cuts:
        return None
    progress("done", len(ways), len(ways))
    return LeastWidthsObserved(cuts=cuts)


def _cuts(prepared: Prepared, condition: Condition) -> "list[_Cut]":
    """As long as the options left can meet the total."""
    bits = prepared.settings.bits
    cuts = (_Cut(prepared, condition, bits[first:]) for first in range(1, len(bits)))
    return list(takewhile(lambda cut: cut.ways > 0, cuts))


@dataclass(frozen=True)
class _Cut:
    """A worst case that may use these options only."""

    prepared: Prepared
    condition: Condition
    options: tuple[int, ...]

    @property
    def least(self) -> int:
        return self.options[0]

    @property
    def ways(self) -> int:
        """How many allocations there are."""
        points, total = len(self.prepared.points), self.condition.total
        return count_allocations(points, self.options, total, self.prepared.floors)

    def observe(self, walk: Walk) -> CutObserved:
        """What is found for the examples that need a search."""
        evaluator, places = self.prepared.evaluator, walk.to_search(self.least)
        before = replace(evaluator.spent)
        bits, found = self._search(torch.from_numpy(places.astype(np.int64)), walk.bits[places])
        spent = evaluator.spent
        return CutObserved(
            mean_bits=self.condition.mean_bits or 0.0,
            least=self.least,
            freedom_log2=math.log2(self.ways),
            places=places,
            prediction=found,
            bits=bits,
            effort=Effort(
                forward_passes=spent.forward - before.forward,
                backward_passes=spent.backward - before.backward,
                method=f"as {self.condition.name}, of the widths left",
            ),
        )

    def _search(
        self, index: Int[Tensor, " m"], before: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.uint8], Classes]:
        """(m, L) bits, and what is predicted under them."""
        prepared, asked = self.prepared, self.prepared.settings
        points = len(prepared.points)
        if not len(index):
            return np.empty((0, points), np.uint8), classes([])
        problem = self._problem(index)
        best = Best(problem, problem.nearest(torch.from_numpy(before.astype(np.float64))))
        best.offer(best.bits.clone())
        kept = (best.cost >= problem.clear).nonzero().flatten()
        if self.ways > 1 and len(kept):
            rest = self._problem(index[kept])
            rng = generator(asked.seed, *f"{self.condition.name}-from-{self.least}".encode())
            even = even_allocation(rest, points)
            found = gradient_search(rest, even, asked.rounds, asked.exchanges, rng)
            best.keep(found.bits, found.cost, kept)
        scores = prepared.evaluator.scores(index, best.bits)
        return best.bits.numpy().astype(np.uint8), classes(predictions_of(scores))

    def _problem(self, index: Int[Tensor, " m"]) -> Problem:
        return Problem(
            self.prepared.evaluator,
            index,
            groups=torch.arange(len(index)),
            options=torch.tensor(self.options),
            total=self.condition.total,
            floors=self.prepared.floors,
            enough=0.0,
        )
