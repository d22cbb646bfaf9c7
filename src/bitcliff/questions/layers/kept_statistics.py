"""What a runtime gives back when it leaves layers in float, and the plan to recommend for it.

A unit is what is left in float at once: a layer, or in a network of many layers a block of them.
The blocks that do most harm are taken apart.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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
"""Of the units that do most harm by themselves, so many together; at most half of all."""

_ONE_BY_ONE = 64
"""Layers that are tried each by itself; of more than that, blocks are."""

_OPENED = 2
"""Blocks whose layers are tried too."""

# Of a layer's name, as far as it says which of many alike it is in.
_BLOCK = re.compile(r".*?[./_]\d+(?=[./_])")


def units(names: Sequence[str]) -> list[Cell]:
    """Each layer by itself, or of many those of one block, by their names."""
    if len(names) <= _ONE_BY_ONE:
        return [frozenset({index}) for index in range(len(names))]
    members: dict[str, set[int]] = {}
    for index, name in enumerate(names):
        found = _BLOCK.match(name)
        members.setdefault(found[0] if found else name, set()).add(index)
    return [frozenset(one) for one in members.values()]


def apart(one: Cell) -> list[Cell]:
    """Each layer of a unit."""
    return [frozenset({index}) for index in sorted(one)]


def steps(parts: Sequence[Cell]) -> list[Cell]:
    """Nothing in float, each unit by itself, and all but each; every cell once."""
    everything = frozenset[int]().union(*parts)
    return list(dict.fromkeys((NOTHING, *parts, *(everything - one for one in parts))))


def ranked(
    by_cell: Mapping[Cell, Predictions], parts: Sequence[Cell], targets: Predictions
) -> list[Cell]:
    """Units by the harm that each does as the only one quantized, most first.

    What it gives back when it alone is in float comes second: of two that each suffice to break the
    network neither gives anything back.
    """
    everything = frozenset[int]().union(*parts)

    def right(cell: Cell) -> int:
        return int((by_cell[cell] == targets).sum())

    return sorted(parts, key=lambda one: (right(everything - one), -right(one), min(one)))


def opened(order: Sequence[Cell]) -> list[Cell]:
    """Of a ranking, the first units that are blocks."""
    return [one for one in order if len(one) > 1][:_OPENED]


def finer(parts: Sequence[Cell], taken_apart: Sequence[Cell]) -> list[Cell]:
    """The units with these taken apart."""
    return [each for one in parts for each in (apart(one) if one in taken_apart else [one])]


def sets_to_try(order: Sequence[Cell]) -> list[Cell]:
    """The first two of a ranking, four, eight; all of them would be no quantization."""
    return [frozenset[int]().union(*order[:size]) for size in _SIZES if size <= len(order) / 2]


def kept_figures(record: Record, observed: KeptObserved) -> Kept:
    """Every figure of one runtime."""
    halves = Halves(len(record.table), observed.half)
    targets, in_float = float_targets(record), record.table.prediction
    none, tried = observed.predictions[""], _tried(record, observed)
    everything = frozenset[int]().union(*tried.alone)
    whole = right_change(targets, in_float, none)
    chosen = _chosen(record, observed, tried, halves) if surely_lost(whole) else None
    return Kept(
        policy=observed.policy,
        float_rate=right_among(targets, in_float),
        all=right_among(targets, none),
        whole=whole,
        not_kept=observed.not_kept,
        points=[observed.points[index] for index in sorted(everything)],
        in_blocks=any(len(one) > 1 for one in tried.alone),
        only=[
            right_among(targets, observed.predictions[range_text(everything - one)])
            for one in tried.alone
        ],
        sets=_sets(record, observed, tried.cells, halves.everyone),
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
        for found in one.predictions.values():
            yield from prediction_problems(record, found, len(record.table))
            if len(found) != len(record.table):
                return
        halves = Halves(len(record.table), one.half)
        if len(one.half) and (wrong := next(halves.problems, None)):
            yield f"in {one.policy!r}: {wrong}"
            return
        try:
            tried = _tried(record, one)
        except KeyError:
            tried = None
        if tried is None or not {*one.points}.issuperset(one.not_kept):
            yield f"in {one.policy!r}: predictions are not those of each layer kept by itself"
            return
        expected = {range_text(cell) for cell in (*steps(tried.alone), *tried.sets)}
        if not one.predictions.keys() <= expected:
            yield f"in {one.policy!r}: predictions of layers that do not do most harm"


@dataclass(frozen=True)
class _Tried:
    """What was left in float: units, each alone, then those that do most harm together."""

    alone: list[Cell]
    sets: list[Cell]

    @property
    def cells(self) -> list[Cell]:
        """All, each once."""
        return list(dict.fromkeys((*self.alone, *self.sets)))


def _tried(record: Record, observed: KeptObserved) -> _Tried:
    """As it was when they were run, by the examples that choose.

    Raises:
        KeyError: what must have been run was not.
    """
    places = Halves(len(record.table), observed.half).judging
    targets = record.table.targets[places]
    left_out = frozenset(
        index for index, name in enumerate(observed.points) if name in observed.not_kept
    )
    # A block that could not be left in float as a whole was taken apart.
    parts = [
        each
        for one in units(observed.points)
        for each in ([one] if range_text(one) in observed.predictions else apart(one - left_out))
    ]

    def order(parts: Sequence[Cell]) -> list[Cell]:
        by_cell = {cell: observed.predictions[range_text(cell)][places] for cell in steps(parts)}
        return ranked(by_cell, parts, targets)

    taken_apart = opened(order(parts))
    smaller = finer(parts, taken_apart)
    sets = [
        cell for cell in sets_to_try(order(smaller)) if range_text(cell) in observed.predictions
    ]
    return _Tried([*smaller, *taken_apart], sets)


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


def _chosen(
    record: Record, observed: KeptObserved, tried: _Tried, halves: Halves
) -> KeptSet | None:
    """Of those within the limit the one that keeps fewest layers, else the best.

    Where there are enough examples one half chooses, and the figures are those of the others.
    Without, one that helps beyond chance among all is chosen on all.
    """
    cells = tried.cells
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
