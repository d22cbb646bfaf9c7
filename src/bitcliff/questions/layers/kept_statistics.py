"""What a runtime gives back when it leaves layers in float, and the plan to recommend for it."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bitcliff.questions.layers.cells import NOTHING, Cell, range_text
from bitcliff.questions.layers.record import SIGNIFICANT, Kept, KeptObserved, KeptSet
from bitcliff.questions.prediction_checks import prediction_problems, right_among, right_change
from bitcliff.record import Record
from bitcliff.record.arrays import NONE
from bitcliff.record.plan import QuantizationPlan
from bitcliff.stats import with_holm
from bitcliff.types.change import PairedChange

Predictions = npt.NDArray[np.int32]

_SIZES = (2, 4, 8)
"""Of the layers that do most harm by themselves, so many together; at most half of all."""


def steps(able: Sequence[int]) -> list[Cell]:
    """Nothing in float, each layer by itself, and all but each; every cell once."""
    alone = [frozenset({index}) for index in able]
    return list(dict.fromkeys((NOTHING, *alone, *(frozenset(able) - one for one in alone))))


def ranked(
    by_cell: Mapping[Cell, Predictions], able: Sequence[int], targets: Predictions
) -> list[int]:
    """Layers by the harm that each does as the only one quantized, most first.

    What it gives back when it alone is in float comes second: of two layers that each suffice to
    break the network neither gives anything back.
    """

    def right(cell: Cell) -> int:
        return int((by_cell[cell] == targets).sum())

    rest = frozenset(able)
    return sorted(able, key=lambda k: (right(rest - {k}), -right(frozenset({k})), k))


def sets_to_try(order: Sequence[int]) -> list[Cell]:
    """The first two of a ranking, four, eight; all of them would be no quantization."""
    return [frozenset(order[:size]) for size in _SIZES if size <= len(order) / 2]


def kept_figures(record: Record, observed: KeptObserved) -> Kept:
    """Every figure of one runtime."""
    cells, targets = _cells(record, observed), _targets(record)
    none, able = observed.predictions[""], _able(observed)
    changes = with_holm([right_change(targets, none, found) for found in cells.values()])
    sets = [
        _set(record, observed, cell, found, change)
        for (cell, found), change in zip(cells.items(), changes, strict=True)
        if change is not None
    ]
    whole = right_change(targets, record.table.prediction, none)
    return Kept(
        policy=observed.policy,
        float_rate=right_among(targets, record.table.prediction),
        all=right_among(targets, none),
        whole=whole,
        not_kept=observed.not_kept,
        points=[observed.points[index] for index in able],
        only=[
            right_among(targets, observed.predictions[range_text(frozenset(able) - {index})])
            for index in able
        ],
        sets=sets,
        plan=_plan(record, whole, sets),
    )


def kept_problems(record: Record, kept: Sequence[KeptObserved]) -> Iterator[str]:
    """What contradicts the record, or itself."""
    explained = record.explained.policies if record.explained else []
    shipped = [name for name in explained if name in record.names_in_runtimes]
    if [one.policy for one in kept] not in ([], shipped):
        yield "layers kept in float, not of the explained runtimes in their order"
    for one in kept:
        names = {point.name for point in record.subject.points}
        if len(set(one.points)) < len(one.points) or not names.issuperset(one.points):
            yield f"in {one.policy!r}: not of the network's points, each once"
            return
        able = _able(one)
        expected = {range_text(cell) for cell in steps(able)}
        if not expected <= one.predictions.keys() or not {*one.points}.issuperset(one.not_kept):
            yield f"in {one.policy!r}: predictions are not those of each layer kept by itself"
            return
        for found in one.predictions.values():
            yield from prediction_problems(record, found, len(record.table))
            if len(found) != len(record.table):
                return
        by_cell = {cell: one.predictions[range_text(cell)] for cell in steps(able)}
        order = ranked(by_cell, able, record.table.targets)
        tried = {range_text(cell) for cell in sets_to_try(order)}
        if not one.predictions.keys() - expected <= tried:
            yield f"in {one.policy!r}: predictions of layers that do not do most harm"


def _able(observed: KeptObserved) -> list[int]:
    """Indices of the points whose layers the runtime does leave in float."""
    return [index for index, name in enumerate(observed.points) if name not in observed.not_kept]


def _cells(record: Record, observed: KeptObserved) -> dict[Cell, Predictions]:
    """By the indices kept: one layer each in order, then those that do most harm together."""
    able = _able(observed)
    by_cell = {cell: observed.predictions[range_text(cell)] for cell in steps(able)}
    sets = sets_to_try(ranked(by_cell, able, record.table.targets))
    some = [cell for cell in sets if range_text(cell) in observed.predictions]
    cells = [*(frozenset({index}) for index in able), *some]
    return {cell: observed.predictions[range_text(cell)] for cell in cells}


def _set(
    record: Record, observed: KeptObserved, cell: Cell, found: Predictions, change: PairedChange
) -> KeptSet:
    targets = _targets(record)
    loss = right_change(targets, record.table.prediction, found)
    return KeptSet(
        points=[observed.points[index] for index in sorted(cell)],
        right=right_among(targets, found),
        regained=change,
        loss=loss,
        within=loss.low_pp is not None and loss.low_pp >= -record.settings.max_drop,
    )


def _plan(record: Record, whole: PairedChange, sets: Sequence[KeptSet]) -> QuantizationPlan | None:
    """Of those within the limit the one that keeps fewest layers, else the best that surely helps;
    none where the runtime loses nothing beyond chance."""
    if (whole.difference_pp or 0.0) >= 0 or whole.p_value > SIGNIFICANT:
        return None
    helping = [
        one
        for one in sets
        if (one.regained.difference_pp or 0.0) > 0 and (one.regained.p_holm or 0.0) <= SIGNIFICANT
    ]
    if not helping:
        return None
    best = min(
        helping,
        key=lambda one: (not one.within, len(one.points) if one.within else 0, -one.right.k),
    )
    return QuantizationPlan(
        model=record.subject.model,
        weights_sha256=record.provenance.weights_sha256,
        float_points=best.points,
    )


def _targets(record: Record) -> Predictions:
    """(n,) -1 where float fails."""
    table = record.table
    return np.where(table.prediction == NONE, NONE, table.targets).astype(np.int32)
