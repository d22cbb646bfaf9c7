"""The table as a file, read back by other libraries."""

import csv
import sys
from pathlib import Path

import pytest

from bitcliff.errors import InputError, MissingExtra
from bitcliff.record.summary import Figure, Run, figure_of
from bitcliff.run.archive.tables import COLUMNS, table_rows, write_csv, write_parquet
from bitcliff.stats import paired_change, rate

RIGHT = figure_of("worst-5", "right", rate(3, 4), paired_change(4, 1, 0), threat="allocation")
RUNS = [
    Run("runs/a", "assess", model="=cmd()", examples=4, verdict="fail", figures=(RIGHT, RIGHT)),
    Run("runs/b\udcff", "assess", refused="runs/b: damaged, really"),
]


def test_one_row_a_figure_and_one_of_what_is_refused() -> None:
    rows = list(table_rows(RUNS))
    assert [row["path"] for row in rows] == ["runs/a", "runs/a", "runs/b\udcff"]
    assert {tuple(row) for row in rows} == {tuple(COLUMNS)}
    assert rows[0]["figure_k"] == 3
    assert rows[0]["figure_change_pp"] == -25
    assert rows[2]["figure_k"] is None


def test_csv_is_safe_in_a_spreadsheet(tmp_path: Path) -> None:
    write_csv(RUNS, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        first, _, last = csv.DictReader(file)
    assert first["model"] == "'=cmd()"
    assert float(first["figure_low"]) == RIGHT.low
    assert last["refused"] == "runs/b: damaged, really"
    assert last["figure_k"] == ""


def test_parquet_has_types_also_where_all_is_empty(tmp_path: Path) -> None:
    import pyarrow.parquet

    for runs in (RUNS, RUNS[1:], []):
        write_parquet(runs, tmp_path / "t.parquet")
        table = pyarrow.parquet.read_table(tmp_path / "t.parquet")
        assert str(table.schema.field("figure_k").type) == "int64"
        assert str(table.schema.field("figure_low").type) == "double"
        assert str(table.schema.field("model").type) == "string"
        assert table.column_names == list(COLUMNS)
        assert table.num_rows == len(list(table_rows(runs)))
    write_parquet(RUNS, tmp_path / "t.parquet")
    first, _, last = pyarrow.parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert (
        Figure(**{key[7:]: one for key, one in first.items() if key.startswith("figure_")}) == RIGHT
    )
    assert last["path"] == "runs/b\\udcff"


def test_without_pyarrow_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises((MissingExtra, InputError), match=r"pip install 'bitcliff\[parquet\]'"):
        write_parquet(RUNS, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []
