"""Which layers a runtime must leave in float: each kept so by itself, in the runtime, and several.

A runtime rounds weights too, in its own format; nothing here is simulated.
"""

import numpy as np

from bitcliff.audit.outcomes import predictions_of
from bitcliff.errors import NothingQuantized
from bitcliff.points import Plan, Point, Selection, discover
from bitcliff.questions.context import Context
from bitcliff.questions.layers.cells import NOTHING, Cell, range_text
from bitcliff.questions.layers.kept_statistics import ranked, sets_to_try, steps
from bitcliff.questions.layers.record import KeptObserved
from bitcliff.questions.layers.statistics import Predictions
from bitcliff.record.arrays import classes
from bitcliff.types.runtime import Runtime


def observe_kept(context: Context) -> list[KeptObserved]:
    """Of every runtime that is explained; none where none can be handed the network anew."""
    if context.keep_in_float is None or not context.runtimes:
        return []
    return [_Trials(context, policy).observed() for policy in context.runtimes]


class _Trials:
    """One runtime's condition: what it predicts with some layers in float."""

    def __init__(self, context: Context, policy: str) -> None:
        self.context, self.policy = context, policy
        prepared, condition = context.test.prepared, context.record.by_name[policy].condition
        self.size = condition.batch_size or 1
        self.runtime = next(one for one in prepared.runtimes if one.name == condition.runtime)
        first = dict[str, Point]()
        for point in _all_points(context).rounded_by(self.runtime):
            first.setdefault(point.site, point)
        self.points = list(first.values())
        self.by_cell: dict[Cell, Predictions] = {}

    def observed(self) -> KeptObserved:
        """Nothing kept, each layer by itself, all but each, and several that do most harm."""
        self.by_cell[NOTHING] = self._predictions(self.runtime)
        one_each = [frozenset({index}) for index in range(len(self.points))]
        not_kept = [index for index, cell in enumerate(one_each) if not self._try(cell)]
        able = [index for index in range(len(self.points)) if index not in not_kept]
        for cell in steps(able):
            self._try(cell)
        for cell in sets_to_try(ranked(self.by_cell, able, self.context.record.table.targets)):
            self._try(cell)
        return KeptObserved(
            policy=self.policy,
            points=[point.name for point in self.points],
            not_kept=[self.points[index].name for index in not_kept],
            predictions={range_text(cell): found for cell, found in self.by_cell.items()},
        )

    def _try(self, cell: Cell) -> bool:
        """Whether the runtime did keep all of these."""
        if cell in self.by_cell:
            return True
        keep = self.context.keep_in_float
        assert keep is not None  # noqa: S101  (`observe_kept` has seen to it)
        self.context.tell(
            f"{self.policy}, layers in float", len(self.by_cell), 2 * len(self.points)
        )
        sites = tuple(self.points[index].site for index in sorted(cell))
        try:
            changed = keep(self.runtime.name, sites)
        except NothingQuantized:  # all that it would quantize is among them
            return False
        if not changed.kept.issuperset(sites):
            return False
        self.by_cell[cell] = self._predictions(changed)
        return True

    def _predictions(self, runtime: Runtime) -> Predictions:
        side = self.context.test
        scores = side.evaluator.runtime_scores(side.everyone, runtime.run, self.size)
        return classes(predictions_of(scores)).astype(np.int32)


def _all_points(context: Context) -> Plan:
    """The first layer's among them, which runtimes quantize too."""
    prepared = context.test.prepared
    whole = Selection(include_stem=True)
    return discover(prepared.subject.module, prepared.examples.inputs, whole)
