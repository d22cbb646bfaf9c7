"""What a runtime gives back when it leaves layers in float, and the plan to recommend for it."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bitcliff.questions.halves import Halves, Places
from bitcliff.questions.layers.cells import NOTHING, Cell, range_text
from bitcliff.questions.layers.record import Kept, KeptObserved, KeptSet
from bitcliff.questions.plan_in_runtime import (
    float_plan,
    float_targets,
    surely_helps,
    surely_lost,
)
from bitcliff.questions.prediction_checks import prediction_problems, right_among, right_change
from bitcliff.record import Record
from bitcliff.stats import with_holm

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
    halves = Halves(len(record.table), observed.half)
    targets, in_float = float_targets(record), record.table.prediction
    none, able = observed.predictions[""], _able(observed)
    whole = right_change(targets, in_float, none)
    chosen = _chosen(record, observed, halves) if surely_lost(whole) else None
    return Kept(
        policy=observed.policy,
        float_rate=right_among(targets, in_float),
        all=right_among(targets, none),
        whole=whole,
        not_kept=observed.not_kept,
        points=[observed.points[index] for index in able],
        only=[
            right_among(targets, observed.predictions[range_text(frozenset(able) - {index})])
            for index in able
        ],
        sets=_sets(record, observed, _cells(observed, _ranked(record, observed)), halves.everyone),
        chosen_on=len(halves.judging) if halves.held_out and chosen else 0,
        chosen=chosen,
        plan=float_plan(record, chosen.points)
        if chosen and surely_helps(chosen.regained)
        else None,
    )


def kept_problems(record: Record, kept: Sequence[KeptObserved]) -> Iterator[str]:
    """What contradicts the record, or itself."""
    explained = record.explained.policies if record.explained else []
    shipped = [name for name in explained if name in record.names_deployed]
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
        halves = Halves(len(record.table), one.half)
        if len(one.half) and (wrong := next(halves.problems, None)):
            yield f"in {one.policy!r}: {wrong}"
            return
        tried = {range_text(cell) for cell in sets_to_try(_ranked(record, one))}
        if not one.predictions.keys() - expected <= tried:
            yield f"in {one.policy!r}: predictions of layers that do not do most harm"


def _able(observed: KeptObserved) -> list[int]:
    """Indices of the points whose layers the runtime does leave in float."""
    return [index for index, name in enumerate(observed.points) if name not in observed.not_kept]


def _ranked(record: Record, observed: KeptObserved) -> list[int]:
    """As it was when the layers were run, by the examples that choose."""
    places = Halves(len(record.table), observed.half).judging
    by_cell = {
        cell: observed.predictions[range_text(cell)][places] for cell in steps(_able(observed))
    }
    return ranked(by_cell, _able(observed), record.table.targets[places])


def _cells(observed: KeptObserved, order: Sequence[int]) -> list[Cell]:
    """By the indices kept: one layer each in order, then those that do most harm together."""
    alone = [frozenset({index}) for index in _able(observed)]
    tried = [cell for cell in sets_to_try(order) if range_text(cell) in observed.predictions]
    return [*alone, *tried]


def _sets(
    record: Record, observed: KeptObserved, cells: Sequence[Cell], places: Places
) -> list[KeptSet]:
    """The figures of each set, on the examples at `places`."""
    targets, none = float_targets(record)[places], observed.predictions[""][places]
    in_float = record.table.prediction[places]
    found = [observed.predictions[range_text(cell)][places] for cell in cells]
    changes = with_holm([right_change(targets, none, one) for one in found])
    sets = []
    for cell, one, change in zip(cells, found, changes, strict=True):
        if change is None:
            continue
        loss = right_change(targets, in_float, one)
        sets.append(
            KeptSet(
                points=[observed.points[index] for index in sorted(cell)],
                right=right_among(targets, one),
                regained=change,
                loss=loss,
                within=loss.low_pp is not None and loss.low_pp >= -record.settings.max_drop,
            )
        )
    return sets


def _chosen(record: Record, observed: KeptObserved, halves: Halves) -> KeptSet | None:
    """Of those within the limit the one that keeps fewest layers, else the best.

    Where there are enough examples one half chooses, and the figures are those of the others.
    Without, one that helps beyond chance among all is chosen on all.
    """
    cells = _cells(observed, _ranked(record, observed))
    sets = _sets(record, observed, cells, halves.judging)
    helping = [
        (one, cell)
        for one, cell in zip(sets, cells, strict=True)
        if (halves.held_out and (one.regained.difference_pp or 0.0) > 0)
        or surely_helps(one.regained, one.regained.p_holm)
    ]
    if not helping:
        return None
    best, cell = min(
        helping,
        key=lambda pair: (
            not pair[0].within,
            len(pair[1]) if pair[0].within else 0,
            -pair[0].right.k,
            len(pair[1]),
        ),
    )
    return _sets(record, observed, [cell], halves.rest)[0] if halves.held_out else best
