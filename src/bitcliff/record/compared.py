"""Two conditions of a run on the same examples, as `bitcliff diff` asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bitcliff.record.arrays import NONE
from bitcliff.record.conditions import Condition
from bitcliff.record.outcomes import Measured, Table
from bitcliff.record.record import Record
from bitcliff.record.schema import Observed
from bitcliff.stats import change_between, rate, score_change
from bitcliff.types.change import PairedChange, ScoreChange
from bitcliff.types.rate import Rate
from bitcliff.types.settings import IN_FLOAT


@dataclass(frozen=True)
class Side:
    """One of the two: what it predicts of all n examples, -1 on a numeric failure.

    Attributes:
        name: the condition's, or `IN_FLOAT`. condition: None for the network in float.
        margin: (n,) as in `Outcomes`, NaN where it is not known. score: (n,) likewise, where
            outcomes have one.
    """

    name: str
    condition: Condition | None
    prediction: npt.NDArray[np.int32]
    margin: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Pair:
    """Two sides on the same examples; all that is stated is over those that both answer.

    Attributes:
        targets: (n,) labels; None where there are none.
    """

    a: Side
    b: Side
    targets: npt.NDArray[np.int32] | None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.b.name} against {self.a.name}"

    @property
    def sides(self) -> tuple[Side, Side]:
        """A, then B."""
        return self.a, self.b

    @cached_property
    def both(self) -> npt.NDArray[np.bool_]:
        """(n,) whether both have an answer."""
        return np.asarray((self.a.prediction != NONE) & (self.b.prediction != NONE))

    @cached_property
    def differ(self) -> npt.NDArray[np.bool_]:
        """(n,) whether both have an answer, and not the same."""
        return np.asarray(self.both & (self.a.prediction != self.b.prediction))

    @cached_property
    def decisions(self) -> Rate:
        """Those that differ."""
        return rate(int(self.differ.sum()), int(self.both.sum()))

    def right(self, side: Side) -> Rate:
        """Right answers of one; without labels, those that are the other's too."""
        if self.targets is None:
            return rate(int((self.both & ~self.differ).sum()), int(self.both.sum()))
        return rate(int((side.prediction == self.targets)[self.both].sum()), int(self.both.sum()))

    @cached_property
    def change(self) -> PairedChange | None:
        """Of right answers, B against A; None without labels, and where no example counts."""
        if self.targets is None or not self.both.any():
            return None
        before, after = ((side.prediction == self.targets)[self.both] for side in self.sides)
        return change_between(before, after)

    def score_change(self, losing: float) -> ScoreChange | None:
        """Of scores, B against A; None where outcomes have none."""
        before, after = (side.score for side in self.sides)
        if before is None or after is None or not self.both.any():
            return None
        return score_change(before[self.both], after[self.both], losing)


def pairs_of(record: Record) -> list[Pair]:
    """What a run compares: each example by itself, then in batches where a side shares scales.

    A runtime, or a format whose scale a batch shares, is measured in both ways; a side whose
    examples have nothing to do with each other stands in both pairs as it is.
    """
    if not record.settings.compared:
        return []
    a, b = (_measured(record.observed, name) for name in record.settings.compared)
    places = [0, 1] if max(len(a), len(b)) > 1 else [0]
    return [_pair(record.table, _at(a, place), _at(b, place)) for place in places]


def unmeasured(observed: Observed) -> list[str]:
    """What is to be compared, and was not measured on every example."""
    n, found = len(observed.examples), dict[str, list[Measured]]()
    for name in observed.settings.compared:
        if name != IN_FLOAT:
            found[name] = _measured(observed, name)
    return [
        name
        for name, measured in found.items()
        if not measured or any(len(one.outcomes) != n for one in measured)
    ]


def _measured(observed: Observed, name: str) -> list[Measured]:
    """Under this name, each example by itself first; nothing for float."""
    found = [
        one
        for one in observed.conditions
        if one.condition.deployed and name in (one.condition.numerics, one.condition.runtime)
    ]
    return sorted(found, key=lambda one: one.condition.batch_size or 1)


def _at(found: Sequence[Measured], place: int) -> Measured | None:
    return found[min(place, len(found) - 1)] if found else None


def _pair(table: Table, a: Measured | None, b: Measured | None) -> Pair:
    return Pair(_side(table, a, b), _side(table, b, a), table.labels)


def _side(table: Table, measured: Measured | None, other: Measured | None) -> Side:
    """Float is run as the other side is."""
    if measured is None:
        usual = table.prediction
        prediction = usual if other is None else table.before(other.outcomes)
        # Of batches in which float answers otherwise, its margins are not kept.
        margin = np.where(prediction == usual, table.margin, np.nan)
        # Without labels all of an outcome is as in float.
        score = np.ones(len(table)) if table.score is None else table.score
        return Side(IN_FLOAT, None, prediction, margin, score)
    outcomes = measured.outcomes
    return Side(
        measured.name, measured.condition, outcomes.prediction, outcomes.margin, outcomes.score
    )
