"""Records from examples given one by one, as tests write them down."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from bitcliff.record import Condition, Effort, ExampleRow, Measured, Observed, Table, record_of
from bitcliff.record.arrays import classes
from bitcliff.record.outcomes import outcomes_of_rows
from bitcliff.record.part import Part
from bitcliff.record.record import Record

Kind = TypeVar("Kind", bound=Part)

NO_EFFORT = Effort(forward_passes=1, backward_passes=0, method="by hand")


def table_of(rows: Sequence[ExampleRow]) -> Table:
    """The examples and what float predicts of them; all have a label, or none has."""
    labels = [row.label for row in rows]
    margins = [np.nan if row.float_margin is None else row.float_margin for row in rows]
    return Table(
        ids=[row.id for row in rows],
        labels=None if None in labels or not labels else classes(labels),
        prediction=classes([row.float_prediction for row in rows]),
        margin=np.array(margins, dtype=np.float64),
        thumbnails={row.id: row.thumbnail for row in rows if row.thumbnail is not None},
    )


def measured_of(
    rows: Sequence[ExampleRow], condition: Condition, effort: Effort = NO_EFFORT
) -> Measured:
    """The outcomes that stand under the condition's name."""
    by_place = {
        place: row.outcomes[condition.name]
        for place, row in enumerate(rows)
        if condition.name in row.outcomes
    }
    return Measured(condition=condition, effort=effort, outcomes=outcomes_of_rows(by_place))


def record_of_rows(
    like: Observed,
    rows: Sequence[ExampleRow],
    conditions: Iterable[Condition],
    efforts: Mapping[str, Effort] | None = None,
    **changes: Any,
) -> Record:
    """The record of these examples, all else as in `like`."""
    table, efforts = table_of(rows), efforts or {}
    sizes = {"n_examples": len(rows), "labelled": table.labels is not None}
    changes.setdefault("subject", like.subject)
    changes["subject"] = changes["subject"].model_copy(update=sizes)
    measured = [measured_of(rows, one, efforts.get(one.name, NO_EFFORT)) for one in conditions]
    return record_of(like.model_copy(update={"examples": table, "conditions": measured, **changes}))


def with_conditions(record: Record, keep: Callable[[Condition], bool]) -> Record:
    """The record with only the conditions that are to be kept."""
    kept = [one for one in record.observed.conditions if keep(one.condition)]
    return record_of(record.observed.model_copy(update={"conditions": kept}))


def with_subject(record: Record, **changes: Any) -> Record:
    """The same record of another subject."""
    subject = record.subject.model_copy(update=changes)
    return record_of(record.observed.model_copy(update={"subject": subject}))


def renamed(record: Record, old: str, new: str) -> Record:
    """The record with one example called otherwise."""
    table = record.table
    ids = [new if name == old else name for name in table.ids]
    thumbnails = {new if name == old else name: one for name, one in table.thumbnails.items()}
    table = table.model_copy(update={"ids": ids, "thumbnails": thumbnails})
    return record_of(record.observed.model_copy(update={"examples": table}))


def figures_in(record: Record, key: str, kind: type[Kind]) -> Kind:
    """The figures of a question that was asked."""
    found = record.answer(key, kind)
    assert found is not None
    return found


def observed_in(record: Record, key: str, kind: type[Kind]) -> Kind:
    """What a question that was asked observed."""
    found = record.observed_by(key, kind)
    assert found is not None
    return found
