import csv
import io
import re
from pathlib import Path

import pytest

from bitcliff.report.plot import LIGHT
from bitcliff.sweep.page import write_tables
from bitcliff.sweep.paper import Paper
from tests.sweep.synthetic import outcomes, pair_cell, records


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("sweep")
    found = records(
        tmp_path / "cells",
        {
            pair_cell("a&b_c", "II", budget, seed): outcomes(seed, broken)
            for budget, broken in (("A", 0.2), ("B", 0.6))
            for seed in (0, 1)
        },
    )
    paper = Paper({"a&b_c": "ResNet18"})
    failed = {"x.seed-0": "the <loss> is not a number"}
    write_tables(found, paper, failed, 9, tmp_path, "bitcliff sweep 'x'")
    return tmp_path


def test_every_table_has_its_files_and_the_page_links_them(written: Path) -> None:
    page = (written / "sweep.html").read_text()
    links = set(re.findall(r'href="([^"]+\.(?:csv|tex|svg))"', page))
    assert links == {f"table{n}.{kind}" for n in (1, 2, 3) for kind in ("csv", "tex", "svg")}
    assert all((written / link).stat().st_size > 200 for link in links)
    assert "the &lt;loss&gt; is not a number" in page
    assert "a&amp;b_c" in page
    assert "<script" not in page


def test_the_page_says_what_ending_early_spared(written: Path, tmp_path: Path) -> None:
    assert "ended early" not in (written / "sweep.html").read_text()
    cells = {pair_cell("a", "II", "A", seed): outcomes(seed, 0.2) for seed in (0, 1)}
    found = records(tmp_path / "cells", cells, stop_after=2)
    write_tables(found, Paper({"a": "ResNet18"}), {}, 2, tmp_path, "bitcliff sweep x")
    assert "ended early: 10 of 12 epochs were trained." in (tmp_path / "sweep.html").read_text()


def test_what_failed_parity_is_hollow_in_every_plot_and_said(written: Path, tmp_path: Path) -> None:
    cells = {pair_cell("a", "II", "A", 0): outcomes(0, 0.9, kept=0.6)}  # bad in float
    write_tables(records(tmp_path / "cells", cells), Paper({}), {}, 1, tmp_path, "bitcliff sweep x")
    hollow = f"fill: {LIGHT.paper}; stroke"
    for name in ("table1", "table2", "table3"):
        assert hollow in (tmp_path / f"{name}.svg").read_text(), name
        assert hollow not in (written / f"{name}.svg").read_text(), name
    assert "parity failed" in (tmp_path / "table3.tex").read_text()
    assert "parity failed" not in (written / "table3.tex").read_text()


def test_the_title_is_the_worst_pair_with_parity(written: Path) -> None:
    title = re.search(r'<h1 id="finding">(.*?)</h1>', (written / "sweep.html").read_text())
    assert title is not None
    assert "The most brittle pair with parity, a&amp;b_c, II, B, loses " in title[1]
    rows = [*csv.DictReader(io.StringIO((written / "table1.csv").read_text()))]
    worst = min(rows, key=lambda row: float(row["change_pp"]))
    assert f"loses {-float(worst['change_pp']):.1f} points" in title[1]


def test_latex_has_as_many_cells_in_every_row_and_nothing_unescaped(written: Path) -> None:
    for number in (1, 2, 3):
        text = (written / f"table{number}.tex").read_text()
        columns = re.search(r"\\begin\{tabular\}\{(l?r*)\}", text)
        assert columns is not None
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert len(rows) > 2
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) == len(columns[1]) - 1
            assert not re.search(r"(?<!\\)[%_#]", row)
            assert row.isascii()


def test_the_same_records_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    kinds = ("*.html", "*.csv", "*.tex", "*.svg")
    first = {file.name: file.read_bytes() for kind in kinds for file in written.glob(kind)}
    again = records(
        tmp_path / "again",
        {
            pair_cell("a&b_c", "II", budget, seed): outcomes(seed, broken)
            for budget, broken in (("A", 0.2), ("B", 0.6))
            for seed in (0, 1)
        },
    )
    failed = {"x.seed-0": "the <loss> is not a number"}
    write_tables(again, Paper({"a&b_c": "ResNet18"}), failed, 9, tmp_path, "bitcliff sweep 'x'")
    assert first == {name: (tmp_path / name).read_bytes() for name in first}
