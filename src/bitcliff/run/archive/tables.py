"""The table of runs as a file for other programs: one row a figure, CSV or parquet."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from bitcliff.adapters.optional import require
from bitcliff.record import write_bytes_atomic, write_text_atomic
from bitcliff.record.summary import Figure, Run
from bitcliff.report.examples_csv import safe_text

_OF_RUN = {one.name: one.type for one in fields(Run) if one.name != "figures"}
_OF_FIGURE = {f"figure_{one.name}": one.type for one in fields(Figure)}
COLUMNS = {**_OF_RUN, **_OF_FIGURE}
"""The name of each column and the type of its values; those of the figure begin so."""


def table_rows(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """One row a figure; a run without any, as one that is refused, has one row all the same."""
    nothing = dict.fromkeys(_OF_FIGURE)
    for run in runs:
        about = {name: getattr(run, name) for name in _OF_RUN}
        for figure in run.figures:
            yield {**about, **{f"figure_{key}": one for key, one in asdict(figure).items()}}
        if not run.figures:
            yield {**about, **nothing}


def write_csv(runs: Sequence[Run], file: Path) -> None:
    """Write the table with a heading row; what a spreadsheet would run as a formula gets an
    apostrophe in front.

    Raises:
        InputError: the file cannot be written.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in table_rows(runs):
        writer.writerow(safe_text(one) if isinstance(one, str) else one for one in row.values())
    write_text_atomic(file, buffer.getvalue())


def write_parquet(runs: Sequence[Run], file: Path) -> None:
    """Write the table with typed columns.

    Raises:
        InputError: the file cannot be written. MissingExtra: pyarrow is not installed.
    """
    arrow = require("pyarrow", "parquet", "--parquet")
    parquet = require("pyarrow.parquet", "parquet", "--parquet")
    kinds = {"int": arrow.int64(), "float": arrow.float64(), "str": arrow.string()}
    columns = {name: kinds[_plain(kind)] for name, kind in COLUMNS.items()}
    # What names half a character, as odd file names do, no UTF-8 can hold.
    rows = [
        {
            key: one.encode("utf-8", "backslashreplace").decode() if isinstance(one, str) else one
            for key, one in row.items()
        }
        for row in table_rows(runs)
    ]
    buffer = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, arrow.schema(columns)), buffer)
    write_bytes_atomic(file, buffer.getvalue())


def _plain(kind: Any) -> str:
    """A type such as `int | None` by its name, without the None."""
    return str(getattr(kind, "__name__", kind)).partition(" |")[0]
