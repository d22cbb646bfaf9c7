"""Which layers must stay in float where the network is deployed: each kept so by itself, there, and
several.

A runtime rounds weights too, in its own format; nothing of it is simulated. A shipped format is.
"""

from bitcliff.questions.context import Context
from bitcliff.questions.deployed import Deployed, deployed
from bitcliff.questions.layers.cells import NOTHING, Cell, range_text
from bitcliff.questions.layers.kept_statistics import ranked, sets_to_try, steps
from bitcliff.questions.layers.record import KeptObserved
from bitcliff.questions.layers.statistics import Predictions


def observe_kept(context: Context) -> list[KeptObserved]:
    """Of every runtime and format that is explained; none of a network not looked into."""
    if context.record.subject.black_box:
        return []
    return [_Trials(context, deployed(context, policy)).observed() for policy in context.deployed]


class _Trials:
    """What a deployed network predicts with some layers in float."""

    def __init__(self, context: Context, there: Deployed) -> None:
        self.context, self.there = context, there
        self.by_cell: dict[Cell, Predictions] = {}

    def observed(self) -> KeptObserved:
        """Nothing kept, each layer by itself, all but each, and several that do most harm to the
        examples that choose."""
        points = self.there.points
        self._try(NOTHING)
        one_each = [frozenset({index}) for index in range(len(points))]
        not_kept = [index for index, cell in enumerate(one_each) if not self._try(cell)]
        able = [index for index in range(len(points)) if index not in not_kept]
        for cell in steps(able):
            self._try(cell)
        halves = self.context.halves
        targets = self.context.record.table.targets[halves.judging]
        some = {cell: self.by_cell[cell][halves.judging] for cell in steps(able)}
        for cell in sets_to_try(ranked(some, able, targets)):
            self._try(cell)
        return KeptObserved(
            policy=self.there.policy,
            points=[point.name for point in points],
            not_kept=[points[index].name for index in not_kept],
            predictions={range_text(cell): found for cell, found in self.by_cell.items()},
            half=halves.half,
        )

    def _try(self, cell: Cell) -> bool:
        """Whether all of these could be kept in float."""
        if cell in self.by_cell:
            return True
        points = self.there.points
        self.context.tell(
            f"{self.there.policy}, layers in float", len(self.by_cell), 2 * len(points)
        )
        found = self.there.in_float({points[index].site for index in cell})
        if found is None:
            return False
        self.by_cell[cell] = found
        return True
