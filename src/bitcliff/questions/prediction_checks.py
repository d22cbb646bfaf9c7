"""Stored predictions: how many are right or another, and whether they can be of these examples."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bitcliff.record import Record
from bitcliff.record.arrays import NONE
from bitcliff.stats import change_between, rate
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Rate


def both_decided(one: npt.NDArray[np.int32], other: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Of which examples there is a prediction in both; -1 is a numeric failure."""
    both: npt.NDArray[np.bool_] = (one != NONE) & (other != NONE)
    return both


def changed_rate(
    before: npt.NDArray[np.int32],
    after: npt.NDArray[np.int32],
    among: npt.NDArray[np.bool_] | bool = True,
) -> Rate:
    """Decisions that are not the same, where both have one, among some."""
    both = both_decided(before, after) & among
    return rate(int((both & (before != after)).sum()), int(both.sum()))


def right_rate(labels: npt.NDArray[np.int32] | None, found: npt.NDArray[np.int32]) -> Rate | None:
    """Right predictions, of all; None without labels."""
    return None if labels is None else rate(int((labels == found).sum()), len(labels))


def right_among(targets: npt.NDArray[np.int32], found: npt.NDArray[np.int32]) -> Rate:
    """Right predictions, of the examples that have a prediction and a target."""
    there = both_decided(found, targets)
    return rate(int((there & (found == targets)).sum()), int(there.sum()))


def right_change(
    targets: npt.NDArray[np.int32],
    before: npt.NDArray[np.int32],
    after: npt.NDArray[np.int32],
) -> PairedChange:
    """Of right predictions, on the examples that have a prediction in both and a target."""
    there = both_decided(before, after) & (targets != NONE)
    one, other = ((found == targets)[there] for found in (before, after))
    return change_between(one, other)


def prediction_problems(record: Record, prediction: npt.NDArray[np.int32], n: int) -> Iterator[str]:
    """What contradicts n predictions of the record's classes, -1 where there is none."""
    classes = record.subject.n_classes
    if len(prediction) != n:
        yield f"has {len(prediction)} predictions for {n} examples"
    elif n and not NONE <= prediction.min() <= prediction.max() < classes:
        yield f"predicts a class that is none of the {classes}"


def margin_problems(
    prediction: npt.NDArray[np.int32], margin: npt.NDArray[np.float64]
) -> Iterator[str]:
    """What contradicts a margin for each prediction, NaN where there is none."""
    if len(margin) != len(prediction):
        yield f"has {len(margin)} margins for {len(prediction)} predictions"
    elif not (np.isfinite(margin) == (prediction != NONE)).all():
        yield "a margin goes with a prediction, and is not there without"
