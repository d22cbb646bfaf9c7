"""What was observed, one row an example and policy: as columns, and as examples.csv, which is safe
to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterator

from bitcliff.record import ExampleRow, Outcome, PolicyResult, Record
from bitcliff.report.nudge_stability import count_stays

COLUMNS = (
    "id",
    "label",
    "label_name",
    "float_prediction",
    "float_prediction_name",
    "float_margin",
    "policy",
    "threat",
    "mean_bits",
    "prediction",
    "prediction_name",
    "margin",
    "flipped",
    "correct",
    "failed_at",
    "bits",
    "draws",
    "repeats",
    "flip_repeats",
)

# What spreadsheets read as the start of a formula, the full-width forms included.
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


Cell = str | int | float | list[int] | list[int | None] | None


def outcome_columns(record: Record) -> dict[str, list[Cell]]:
    """The columns of examples.csv by their names, as `pandas.DataFrame` and `pyarrow.table` take
    them: numbers as numbers, lists as lists, names as they are, and None for what is empty there.
    """
    rows = list(_rows(record))
    return {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}


def render_csv(record: Record) -> str:
    """One row an example and policy, in the record's order, with a heading row.

    Empty cells: not measured, or a numeric failure (then `failed_at` names the point). `bits` holds
    the bits at the quantized points in order, `draws` a random policy's predictions, `repeats` a
    searched policy's predictions with a nudged input, all separated by spaces; `flip_repeats` is 1
    where a flip stays in every repeat, 0 where it does not. A text that a spreadsheet would run as
    a formula gets an apostrophe in front.
    """
    buffer = io.StringIO()
    # Line ends as in RFC 4180: with a bare "\n", csv would leave a "\r" in a name unquoted.
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_as_text(cell) for cell in row] for row in _rows(record))
    return buffer.getvalue()


def _rows(record: Record) -> Iterator[list[Cell]]:
    for row in record.examples:
        for policy in record.policies:
            if policy.name in row.outcomes:
                yield _cells(record, row, policy, row.outcomes[policy.name])


def _cells(record: Record, row: ExampleRow, policy: PolicyResult, outcome: Outcome) -> list[Cell]:
    before = row.before(outcome)
    failed = outcome.prediction is None or before is None
    flipped = None if failed else int(outcome.prediction != before)
    unknown = outcome.prediction is None or row.label is None
    correct = None if unknown else int(outcome.prediction == row.label)
    stays = count_stays(row, outcome)
    return [
        row.id,
        row.label,
        _class(record, row.label),
        row.float_prediction,
        _class(record, row.float_prediction),
        row.float_margin,
        policy.name,
        policy.threat,
        policy.mean_bits,
        outcome.prediction,
        _class(record, outcome.prediction),
        outcome.margin,
        flipped,
        correct,
        outcome.failed_at,
        outcome.bits,
        outcome.draws,
        outcome.repeats,
        None if stays is None else int(stays[0] == stays[1]),
    ]


def safe_text(value: str | None) -> str:
    """As a cell that no spreadsheet runs."""
    if value is None:
        return ""
    plain = value.replace("\0", "\ufffd")
    # Spreadsheets trim before they look, so blanks in front do not make a formula safe.
    seen = next((c for c in plain if c.isprintable() and not c.isspace()), "")
    return "'" + plain if seen in _FORMULA or plain[:1] in _FORMULA else plain


def _class(record: Record, index: int | None) -> str | None:
    names = record.subject.class_names
    return None if index is None or names is None else names[index]


def _as_text(cell: Cell) -> str | int | float | None:
    if isinstance(cell, list):
        return " ".join("nan" if value is None else str(value) for value in cell)
    return safe_text(cell) if isinstance(cell, str) else cell
