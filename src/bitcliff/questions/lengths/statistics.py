"""Which decisions padding changes, and which of them float keeps."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bitcliff.questions.lengths.record import (
    FLOAT,
    AtLength,
    Decided,
    LengthCell,
    Lengths,
    LengthsObserved,
)
from bitcliff.questions.prediction_checks import (
    both_decided,
    changed_rate,
    prediction_problems,
    right_rate,
)
from bitcliff.record import AnswerKind, Record

Classes = npt.NDArray[np.int32]
Places = npt.NDArray[np.intp]


def figures(record: Record, found: LengthsObserved) -> Lengths:
    """Every figure that the predictions give."""
    if found.own is None:
        return Lengths(reason=found.reason)
    labels = record.table.labels
    unpadded = found.cells[0].prediction
    return Lengths(
        padding=found.padding,
        unit=found.unit,
        shortest=int(found.own.min()),
        longest=int(found.own.max()),
        companions=found.companions,
        right_unpadded={who: right_rate(labels, one) for who, one in unpadded.items()},
        at=[_at(cell, found.own, _before(found, cell), labels) for cell in found.cells[1:]],
        refused=found.refused,
    )


def _before(found: LengthsObserved, cell: LengthCell) -> LengthCell:
    """What a cell is compared with."""
    if not cell.beside_longer:
        return found.cells[0]
    return next(c for c in found.cells[1:] if c.length == cell.length and not c.beside_longer)


def fitting(own: npt.NDArray[np.int32], length: int | None) -> Places:
    """Places of the examples that are no longer."""
    return np.arange(len(own)) if length is None else np.flatnonzero(own <= length)


def _at(cell: LengthCell, own: Classes, before: LengthCell, labels: Classes | None) -> AtLength:
    places = fitting(own, cell.length)
    there = np.searchsorted(fitting(own, before.length), places)
    was = {who: one[there] for who, one in before.prediction.items()}
    labels = None if labels is None else labels[places]
    kept = both_decided(was[FLOAT], cell.prediction[FLOAT]) & (was[FLOAT] == cell.prediction[FLOAT])
    decided = {}
    for who, now in cell.prediction.items():
        if who not in was:
            continue
        decided[who] = Decided(
            changed=changed_rate(was[who], now),
            beyond_float=None if who == FLOAT else changed_rate(was[who], now, kept),
            right=right_rate(labels, now),
        )
    return AtLength(
        length=cell.length or 1,
        beside_longer=cell.beside_longer,
        fitting=len(places),
        padded=int((own[places] < (cell.length or 1)).sum()),
        decided=decided,
    )


def problems(record: Record, found: LengthsObserved) -> Iterator[str]:
    """Whether all is there that figures and a page rely on."""
    if (found.own is None) != (found.reason is not None):
        yield "has either lengths or a reason why there are none"
    if found.own is None:
        if found.cells:
            yield "has cells, and no lengths"
        return
    n = len(record.table)
    if len(found.own) != n or not n or found.own.min() < 1:
        yield f"has {len(found.own)} lengths for {n} examples, or one below 1"
        return
    keys = [(cell.beside_longer, cell.length or 0) for cell in found.cells]
    if not keys or keys[0] != (False, 0) or keys != sorted({*keys}):
        yield "cells are not without padding first, then by length, each once, beside longer last"
        return
    if any(beside and (False, length) not in keys[1:] for beside, length in keys):
        yield "is beside longer ones at a length that was not measured by itself"
    names = list(found.cells[0].prediction)
    if names[:1] != [FLOAT]:
        yield "was not measured in float"
    explained = [] if record.explained is None else record.explained.policies
    if names[1:] != [one for one in explained if one in names]:
        yield f"is about {names[1:]}, of which some are not explained"
    for cell in found.cells:
        yield from _cell_problems(record, found.own, cell, names)


def _cell_problems(
    record: Record, own: npt.NDArray[np.int32], cell: LengthCell, names: list[str]
) -> Iterator[str]:
    if FLOAT not in cell.prediction or not {*cell.prediction} <= {*names}:
        yield f"length {cell.length}: not of float and of what was measured without padding"
    n = len(fitting(own, cell.length))
    for prediction in cell.prediction.values():
        yield from prediction_problems(record, prediction, n)


KIND = AnswerKind(LengthsObserved, figures, problems)
