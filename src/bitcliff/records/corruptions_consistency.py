"""Is the corruptions' part of an explanation what its own marks give?"""

from collections.abc import Iterator, Sequence
from itertools import product

from bitcliff.records.explanation import Explanation
from bitcliff.records.explanation_corruptions import (
    AgainstClean,
    CorruptionCell,
    Corruptions,
)
from bitcliff.records.schema import Record
from bitcliff.types.rate import ClusteredRate

_FLOAT = "float"

Trials = Sequence[tuple[int, int]]
"""Answers that count for, and all that count, of each example."""


def corruptions_problems(
    record: Record, explanation: Explanation, found: Corruptions
) -> Iterator[str]:
    """What contradicts the record, or itself."""
    if found.reason is not None:
        return
    structure = list(_structure_problems(record, explanation, found))
    yield from (f"corruptions: {problem}" for problem in structure)
    if structure or found.clean is None:
        return
    yield from _clean_problems(record, found, found.clean)
    for cell in (found.clean, *found.cells):
        for problem in _cell_problems(cell, found.clean):
            yield f"corruptions: {cell.corruption}, degree {cell.degree}: {problem}"


def _structure_problems(
    record: Record, explanation: Explanation, found: Corruptions
) -> Iterator[str]:
    """Whether all is there that a look at a figure relies on."""
    known = {row.id for row in record.examples}
    if not found.examples or len(set(found.examples) & known) < len(found.examples):
        yield "examples must be ids of examples, each once"
    if not found.degrees or found.degrees != sorted(set(found.degrees)):
        yield f"degrees are {found.degrees}; they must increase"
    if not found.seeds or list(found.bits) != explanation.policies:
        yield "there must be a seed, and bits for each explained policy"
    names = [one.name for one in found.corruptions]
    if not names or len(set(names)) < len(names):
        yield f"the corruptions are {names}; there must be one, and each once"
    for one in found.corruptions:
        if len(one.strengths) != len(found.degrees):
            yield f"{one.name}: {len(one.strengths)} strengths for {len(found.degrees)} degrees"
    if [(c.corruption, c.degree) for c in found.cells] != [*product(names, found.degrees)]:
        yield "cells are not every corruption at every degree, in this order"
    if found.clean is None or found.clean.degree != 0:
        yield "there must be clean pictures, of degree 0"
        return
    for cell, draws in ((found.clean, 1), *((cell, len(found.seeds)) for cell in found.cells)):
        where = f"{cell.corruption}, degree {cell.degree}"
        if [*cell.answers] != [_FLOAT, *found.bits] or [*cell.losses] != [*found.bits]:
            yield f"{where}: not of float and the explained policies, in their order"
        for name, answers in cell.answers.items():
            if list(map(len, answers.marks)) != [len(found.examples)] * draws:
                yield f"{where}: marks of {name!r} are not {draws} times {len(found.examples)}"


def _clean_problems(record: Record, found: Corruptions, clean: CorruptionCell) -> Iterator[str]:
    rows = {row.id: row for row in record.examples}
    # Without a label, right is what float said on the machine that explained.
    chosen = [row for name in found.examples if (row := rows[name]).label is not None]
    for name, answers in clean.answers.items():
        for row, mark in zip(chosen, answers.marks[0], strict=False):
            said = row.float_prediction if name == _FLOAT else row.outcomes[name].prediction
            if mark != ("-" if said is None else "1" if said == row.label else "0"):
                yield f"corruptions: {name!r} on clean {row.id!r} is marked {mark}"


def _cell_problems(cell: CorruptionCell, clean: CorruptionCell) -> Iterator[str]:
    for name, answers in cell.answers.items():
        by_example = list(zip(*answers.marks, strict=True))
        right = [(mine.count("1"), len(mine) - mine.count("-")) for mine in by_example]
        if not _gives(right, answers.accuracy):
            yield f"accuracy of {name!r} is not what its marks give"
        if answers.failed != sum(mine.count("-") for mine in by_example):
            yield f"{answers.failed} answers of {name!r} failed, which its marks do not give"
    for name, loss in cell.losses.items():
        if not _gives(_lost(cell, name), loss.lost):
            yield f"what {name!r} loses is not what its marks give"
        if (against := loss.against_clean) is not None:
            if cell is clean:
                yield f"{name!r} is compared with itself"
            elif _compared(cell, clean, name) != (
                against.n,
                against.only_corrupted,
                against.only_clean,
            ):
                yield f"{name!r} against clean is not what its marks give"
            yield from _difference_problems(name, against)


def _gives(trials: Trials, found: ClusteredRate) -> bool:
    counting = [one for one in trials if one[1]]
    k, n = (sum(column) for column in zip(*trials, strict=True))
    return (k, n, len(counting)) == (found.k, found.n, found.clusters)


def _lost(cell: CorruptionCell, name: str) -> Trials:
    """Of the answers right in float, those that are wrong quantized."""
    trials = []
    for before, after in zip(
        zip(*cell.answers[_FLOAT].marks, strict=True),
        zip(*cell.answers[name].marks, strict=True),
        strict=True,
    ):
        pairs = list(zip(before, after, strict=True))
        lost = pairs.count(("1", "0"))
        trials.append((lost, lost + pairs.count(("1", "1"))))
    return trials


def _compared(cell: CorruptionCell, clean: CorruptionCell, name: str) -> tuple[int, int, int]:
    """Examples right in float and answered both times; lost only corrupted; only clean."""
    columns = [one.answers[who].marks[0] for one in (clean, cell) for who in (_FLOAT, name)]
    pairs = [
        (before, after)
        for float_before, before, float_after, after in zip(*columns, strict=True)
        if float_before == float_after == "1" and "-" not in before + after
    ]
    return len(pairs), pairs.count(("1", "0")), pairs.count(("0", "1"))


def _difference_problems(name: str, found: AgainstClean) -> Iterator[str]:
    more = 100 * (found.only_corrupted - found.only_clean)
    if found.n == 0 or abs(found.difference_pp * found.n - more) > 1e-6:
        yield f"{name!r} against clean is {found.difference_pp} points, not {more} / {found.n}"
