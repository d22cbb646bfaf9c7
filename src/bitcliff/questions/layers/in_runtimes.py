"""Which layers a runtime must leave in float: each kept so by itself, in the runtime, and several.

A runtime rounds weights too, in its own format; nothing here is simulated.
"""

from bitcliff.points import Plan, Point, Selection, discover
from bitcliff.questions.context import Context
from bitcliff.questions.in_runtime import InRuntime
from bitcliff.questions.layers.cells import NOTHING, Cell, range_text
from bitcliff.questions.layers.kept_statistics import ranked, sets_to_try, steps
from bitcliff.questions.layers.record import KeptObserved
from bitcliff.questions.layers.statistics import Predictions


def observe_kept(context: Context) -> list[KeptObserved]:
    """Of every runtime that is explained; none where none can be handed the network anew."""
    if context.keep_in_float is None:
        return []
    return [_Trials(context, policy).observed() for policy in context.runtimes]


class _Trials:
    """One runtime's condition: what it predicts with some layers in float."""

    def __init__(self, context: Context, policy: str) -> None:
        self.context, self.there = context, InRuntime(context, policy)
        first = dict[str, Point]()
        for point in _all_points(context).rounded_by(self.there.runtime):
            first.setdefault(point.site, point)
        self.points = list(first.values())
        self.by_cell: dict[Cell, Predictions] = {}

    def observed(self) -> KeptObserved:
        """Nothing kept, each layer by itself, all but each, and several that do most harm to the
        examples that choose."""
        self.by_cell[NOTHING] = self.there.predictions(self.there.runtime)
        one_each = [frozenset({index}) for index in range(len(self.points))]
        not_kept = [index for index, cell in enumerate(one_each) if not self._try(cell)]
        able = [index for index in range(len(self.points)) if index not in not_kept]
        for cell in steps(able):
            self._try(cell)
        halves = self.context.halves
        targets = self.context.record.table.targets[halves.judging]
        some = {cell: self.by_cell[cell][halves.judging] for cell in steps(able)}
        for cell in sets_to_try(ranked(some, able, targets)):
            self._try(cell)
        return KeptObserved(
            policy=self.there.policy,
            points=[point.name for point in self.points],
            not_kept=[self.points[index].name for index in not_kept],
            predictions={range_text(cell): found for cell, found in self.by_cell.items()},
            half=halves.half,
        )

    def _try(self, cell: Cell) -> bool:
        """Whether the runtime did keep all of these."""
        if cell in self.by_cell:
            return True
        self.context.tell(
            f"{self.there.policy}, layers in float", len(self.by_cell), 2 * len(self.points)
        )
        sites = {self.points[index].site for index in cell}
        changed = self.there.keeping(sites)
        if changed is None or not changed.kept.issuperset(sites):
            return False
        self.by_cell[cell] = self.there.predictions(changed)
        return True


def _all_points(context: Context) -> Plan:
    """The first layer's among them, which runtimes quantize too."""
    prepared = context.test.prepared
    whole = Selection(include_stem=True)
    return discover(prepared.subject.module, prepared.examples.inputs, whole)
