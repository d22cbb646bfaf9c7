"""Two runs on the same examples: what got worse from the one to the other, paired."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitcliff.errors import InputError
from bitcliff.record.arrays import NONE
from bitcliff.record.compared import Pair, Side
from bitcliff.record.outcomes import Measured, Outcomes, Table
from bitcliff.record.record import Record
from bitcliff.stats import holm, score_change
from bitcliff.types.change import PairedChange, ScoreChange
from bitcliff.types.settings import IN_FLOAT

ALPHA = 0.05
"""Below it, after Holm's correction, a change counts as shown."""


@dataclass(frozen=True)
class Across:
    """One condition in both runs, on the examples that both answer.

    Attributes:
        name: the condition's, or `IN_FLOAT`. pair: the first run's side, then the second's.
        change: what is tested, of right answers, or of scores where an outcome is no single choice;
            None without either. p_holm: its p-value among all that were tested.
        lost: ids of the examples that the first has right and the second has not; without labels,
            of those that are decided otherwise.
        failures: examples that fail numerically in the first run, and in the second.
        methods: how each was looked for, where that is not the same.
    """

    name: str
    pair: Pair
    change: PairedChange | ScoreChange | None
    lost: tuple[str, ...]
    failures: tuple[int, int]
    methods: tuple[str, str] | None = None
    p_holm: float | None = None

    @property
    def points(self) -> tuple[float, float, float] | None:
        """The change and its 95 % interval, percentage points; None where there is none."""
        match self.change:
            case PairedChange(difference_pp=float(x), low_pp=float(low), high_pp=float(high)):
                return x, low, high
            case ScoreChange(difference=float(x), low=float(low), high=float(high)):
                return 100 * x, 100 * low, 100 * high
            case _:
                return None

    @property
    def direction(self) -> int:
        """-1 where it is shown to have got worse, 1 where better, else 0."""
        if self.points is None or self.p_holm is None or self.p_holm >= ALPHA:
            return 0
        return -1 if self.points[0] < 0 else 1


def compare_runs(a: Record, b: Record, by_name: bool = False) -> list[Across]:
    """Float and every condition that both runs have, in the order of the second.

    Args:
        by_name: examples are the same where their names and labels are, though what the network is
            given of them differs, as by other preprocessing.

    Raises:
        InputError: the examples are not the same; the text says how many match.
    """
    check_same_examples(a, b, by_name)
    before, after = ({one.name: one for one in run.observed.conditions} for run in (a, b))
    found = [_across(a, b, IN_FLOAT, None, None)]
    found += [_across(a, b, name, before[name], after[name]) for name in after if name in before]
    return with_p_holm(found)


def with_p_holm(family: Sequence[Across]) -> list[Across]:
    """The same comparisons, p-values corrected by Holm's method over all of them."""
    tested = [one for one in family if one.change is not None]
    p_values = iter(holm([one.change.p_value for one in tested if one.change is not None]))
    return [one if one.change is None else replace(one, p_holm=next(p_values)) for one in family]


def check_same_examples(a: Record, b: Record, by_name: bool = False) -> None:
    """Refuse two runs that were not made on the same examples.

    Raises:
        InputError: they were not; the text says how many match.
    """
    n, named = max(len(a.table), len(b.table)), examples_that_match(a.table, b.table)
    if named < n:
        sizes = f"{len(a.table)} and {len(b.table)}"
        raise InputError(
            f"the examples differ: of {sizes}, {named} match by name and label; "
            "assess both on the same data, with the same --examples and --seed"
        )
    if a.table.ids != b.table.ids:
        raise InputError(f"the examples stand in another order, though all {n} match; assess again")
    if not by_name and a.provenance.data_sha256 != b.provenance.data_sha256:
        raise InputError(
            f"the examples differ: all {n} names and labels match, but what the networks are given "
            "does not; where the preprocessing alone is another, give --by-name"
        )


def examples_that_match(a: Table, b: Table) -> int:
    """How many examples have the same name and label in both."""
    return len(set(_named(a)) & set(_named(b)))


def _named(table: Table) -> list[tuple[str, int | None]]:
    labels = [None] * len(table) if table.labels is None else table.labels.tolist()
    return list(zip(table.ids, labels, strict=True))


def _across(a: Record, b: Record, name: str, one: Measured | None, two: Measured | None) -> Across:
    table = b.table
    pair = Pair(_side(a, one), _side(b, two), table.labels)
    right = [side.prediction == pair.targets for side in pair.sides]
    lost = pair.differ if pair.targets is None else pair.both & right[0] & ~right[1]
    methods = (one.effort.method, two.effort.method) if one and two else ("", "")
    held = _held(a, one), _held(b, two)
    return Across(
        name=name,
        pair=pair,
        change=_of_scores(a, b, one, two) or pair.change,
        lost=tuple(table.ids[place] for place in np.flatnonzero(lost)),
        failures=(_failures(held[0]), _failures(held[1])),
        methods=methods if methods[0] != methods[1] else None,
    )


def _held(record: Record, measured: Measured | None) -> Table | Outcomes:
    return record.table if measured is None else measured.outcomes


def _failures(held: Table | Outcomes) -> int:
    return int((held.prediction == NONE).sum())


def _side(record: Record, measured: Measured | None) -> Side:
    if measured is None:
        return Side(IN_FLOAT, None, record.table.prediction, record.table.margin)
    found = measured.outcomes
    margin = _spread(record, measured, found.margin)
    return Side(measured.name, measured.condition, found.spread(len(record.table)), margin)


def _spread(
    record: Record, measured: Measured | None, values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(n,) at every place of the data, NaN where it was not measured."""
    if measured is None:
        return values
    found = np.full(len(record.table), np.nan)
    found[measured.outcomes.index] = values
    return found


def _of_scores(
    a: Record, b: Record, one: Measured | None, two: Measured | None
) -> ScoreChange | None:
    """Of the mean score, where an outcome is no single choice."""
    scores = [_held(a, one).score, _held(b, two).score]
    if scores[0] is None or scores[1] is None:
        return None
    before, after = _spread(a, one, scores[0]), _spread(b, two, scores[1])
    whole = np.isfinite(before) & np.isfinite(after)
    return score_change(before[whole], after[whole], b.settings.score_loss)
