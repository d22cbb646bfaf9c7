"""Which layers must stay in float where the network is deployed: each kept so by itself, there, and
several.

A runtime rounds weights too, in its own format; nothing of it is simulated. A shipped format is.
"""

from collections.abc import Sequence
from functools import partial

from bitcliff.questions.context import Context
from bitcliff.questions.deployed import Deployed, deployed
from bitcliff.questions.layers.cells import NOTHING, Cell, range_text
from bitcliff.questions.layers.kept_statistics import (
    apart,
    finer,
    opened,
    ranked,
    sets_to_try,
    steps,
    units,
)
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
        """Nothing kept, each unit by itself, all but each, and several that do most harm to the
        examples that choose."""
        points = self.there.points
        parts = units([point.name for point in points])
        self._try([NOTHING, *parts])
        # A block may hold a layer that cannot be kept in float.
        failed = [one for one in parts if len(one) > 1 and one not in self.by_cell]
        self._try([layer for one in failed for layer in apart(one)])
        parts = finer(parts, failed)
        not_kept = [one for one in parts if one not in self.by_cell]
        parts = [one for one in parts if one in self.by_cell]
        self._try(steps(parts))
        parts = finer(parts, opened(self._ranked(parts)))
        self._try(steps(parts))
        self._try(sets_to_try(self._ranked(parts)))
        return KeptObserved(
            policy=self.there.policy,
            points=[point.name for point in points],
            not_kept=[points[index].name for one in not_kept for index in one],
            predictions={range_text(cell): found for cell, found in self.by_cell.items()},
            half=self.context.halves.half,
        )

    def _ranked(self, parts: Sequence[Cell]) -> list[Cell]:
        judging = self.context.halves.judging
        some = {cell: self.by_cell[cell][judging] for cell in steps(parts)}
        return ranked(some, parts, self.context.record.table.targets[judging])

    def _try(self, cells: Sequence[Cell]) -> None:
        """Each that was not tried; those that cannot be kept in float are left out."""
        new = [cell for cell in cells if cell not in self.by_cell]
        sites = [frozenset(self.there.points[index].site for index in cell) for cell in new]
        tell = partial(self.context.tell, f"{self.there.policy}, layers in float")
        for cell, found in zip(new, self.there.in_float(sites, tell), strict=True):
            if found is not None:
                self.by_cell[cell] = found
