"""From the marks on corrupted images to accuracy, losses, and where quantization loses more.

Paper section 4.3. Right is the label; without labels, what float predicts for the clean image.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.questions.corruptions.record import (
    FLOAT,
    CorruptionCell,
    Corruptions,
    CorruptionsObserved,
    Loss,
    MarkedRuns,
)
from bitcliff.questions.explained import about_explained
from bitcliff.record import AnswerKind, Record
from bitcliff.record.arrays import NONE
from bitcliff.record.conditions import SEARCHED
from bitcliff.stats import change_between, clustered_rate, with_holm
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import ClusteredRate

CLEAN = "clean"

Marks = npt.NDArray[Any]
"""(seeds, examples) of 1, 0 or -."""


def figures(record: Record, found: CorruptionsObserved) -> Corruptions:
    """Every figure that the marks give."""
    if found.reason is not None:
        return Corruptions(reason=found.reason)
    clean = _clean_marks(record, found)
    cells = [{who: _grid(texts) for who, texts in one.marks.items()} for one in found.cells]
    changes = _against_clean(record, [*found.bits], clean, cells)
    return Corruptions(
        n=len(found.examples),
        draws=len(found.seeds),
        degrees=found.degrees,
        images=found.images,
        bits=found.bits,
        corruptions=found.corruptions,
        clean=_cell(CLEAN, 0, clean, dict.fromkeys(found.bits)),
        cells=[
            _cell(one.corruption, one.degree, marks, change)
            for one, marks, change in zip(found.cells, cells, changes, strict=True)
        ],
    )


def marks_of(prediction: npt.NDArray[np.int32], target: npt.NDArray[np.int32]) -> Marks:
    """A mark for each prediction; -1 is a numeric failure."""
    return np.where(prediction == NONE, "-", np.where(prediction == target, "1", "0"))


def was_searched(record: Record, name: str) -> bool:
    """Whether its bits were looked for on the clean images: there they do what they were found
    for, so that what they do elsewhere cannot be held against it."""
    return record.by_name[name].kind in SEARCHED


def _clean_marks(record: Record, found: CorruptionsObserved) -> dict[str, Marks]:
    """From the record's outcomes: on clean images nothing is run again."""
    table = record.table
    place_of = {name: place for place, name in enumerate(table.ids)}
    places = [place_of[name] for name in found.examples]
    predictions = {FLOAT: table.prediction}
    predictions |= {name: record.outcomes[name].spread(len(table)) for name in found.bits}
    target = table.targets[places]
    return {who: marks_of(each[places], target)[None] for who, each in predictions.items()}


def _grid(texts: Sequence[str]) -> Marks:
    return np.array([list(text) for text in texts])


def _cell(
    corruption: str,
    degree: int,
    marks: Mapping[str, Marks],
    changes: Mapping[str, PairedChange | None],
) -> CorruptionCell:
    return CorruptionCell(
        corruption=corruption,
        degree=degree,
        runs={who: _runs(each) for who, each in marks.items()},
        losses={
            name: Loss(lost=_lost(marks[FLOAT], marks[name]), against_clean=change)
            for name, change in changes.items()
        },
    )


def _runs(marks: Marks) -> MarkedRuns:
    failed = marks == "-"
    return MarkedRuns(accuracy=_rate(marks == "1", ~failed), failed=int(failed.sum()))


def _lost(in_float: Marks, quantized: Marks) -> ClusteredRate:
    """Of what float gets right and is predicted at all quantized, what is wrong then."""
    able = (in_float == "1") & (quantized != "-")
    return _rate(able & (quantized == "0"), able)


def _rate(hits: npt.NDArray[np.bool_], trials: npt.NDArray[np.bool_]) -> ClusteredRate:
    return clustered_rate(hits.sum(0).tolist(), trials.sum(0).tolist())


def _against_clean(
    record: Record,
    policies: Sequence[str],
    clean: Mapping[str, Marks],
    cells: Sequence[Mapping[str, Marks]],
) -> list[dict[str, PairedChange | None]]:
    """By cell and policy, adjusted for all comparisons together; None where there is none."""
    fair = [name for name in policies if not was_searched(record, name)]
    keys = [*product(range(len(cells)), fair)]
    confidence = 1 - 0.05 / len(keys) if keys else 0.95
    adjusted = with_holm([_change(clean, cells[at], name, confidence) for at, name in keys])
    changes = dict(zip(keys, adjusted, strict=True))
    return [{name: changes.get((at, name)) for name in policies} for at in range(len(cells))]


def _change(
    clean: Mapping[str, Marks], corrupted: Mapping[str, Marks], name: str, confidence: float
) -> PairedChange | None:
    """On the first seed; its p-value is not yet adjusted."""
    before, after = clean[name][0], corrupted[name][0]
    fair = (clean[FLOAT][0] == "1") & (corrupted[FLOAT][0] == "1")
    fair &= (before != "-") & (after != "-")
    if not fair.any():
        return None
    return change_between(before[fair] == "1", after[fair] == "1", confidence)


def problems(record: Record, found: CorruptionsObserved) -> Iterator[str]:
    """Whether all is there that figures and a page rely on."""
    if found.reason is not None:
        return
    yield from about_explained(record, found.bits)
    if not found.examples or len(set(found.examples) & set(record.table.ids)) < len(found.examples):
        yield "examples must be ids of examples, each once"
    if not found.degrees or found.degrees != sorted(set(found.degrees)):
        yield f"degrees are {found.degrees}; they must increase"
    if not found.seeds or len(set(found.seeds)) < len(found.seeds):
        yield f"seeds are {found.seeds}; there must be one, and each once"
    names = [one.name for one in found.corruptions]
    if not names or len(set(names)) < len(names):
        yield f"the corruptions are {names}; there must be one, and each once"
    for one in found.corruptions:
        if len(one.strengths) != len(found.degrees):
            yield f"{one.name}: {len(one.strengths)} strengths for {len(found.degrees)} degrees"
    if [(c.corruption, c.degree) for c in found.cells] != [*product(names, found.degrees)]:
        yield "cells are not every corruption at every degree, in this order"
    n, draws = len(found.examples), len(found.seeds)
    for cell in found.cells:
        where = f"{cell.corruption}, degree {cell.degree}"
        if [*cell.marks] != [FLOAT, *found.bits]:
            yield f"{where}: not of float and the explained policies, in their order"
        for who, texts in cell.marks.items():
            if [*map(len, texts)] != [n] * draws:
                yield f"{where}: marks of {who!r} are not {draws} times {n}"


def older(_record: Record, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The same of schema 1.x, which held the figures between the observations."""
    names = {"reason", "examples", "seeds", "degrees", "bits", "corruptions"}
    cells = [
        {
            "corruption": cell["corruption"],
            "degree": cell["degree"],
            "marks": {who: runs["marks"] for who, runs in cell["answers"].items()},
        }
        for cell in answer["cells"]
    ]
    kept = {name: answer[name] for name in names}
    return {**kept, "images": answer["pictures"], "cells": cells}


KIND = AnswerKind(CorruptionsObserved, figures, problems, older)
