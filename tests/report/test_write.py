"""The report's files: all of them, each whole."""

from pathlib import Path

import pytest

from bitcliff.errors import InputError
from bitcliff.report import render_csv, render_html, render_junit, write_report
from bitcliff.report.html import Sections
from bitcliff.verdict import judge
from tests.report.example_record import Variant, example_record


def test_writes_three_files(tmp_path: Path) -> None:
    record = example_record()
    verdict = judge(record, 2.0)
    places = write_report(record, verdict, tmp_path / "new" / "run")
    contents = {name: place.read_bytes().decode() for name, place in places.items()}
    assert contents == {
        "report.html": render_html(record, verdict, Sections()),
        "junit.xml": render_junit(record, verdict),
        "examples.csv": render_csv(record),
    }
    assert sorted(p.name for p in (tmp_path / "new" / "run").iterdir()) == sorted(contents)


def test_names_that_are_not_unicode_can_be_written(tmp_path: Path) -> None:
    record = example_record(Variant(hostile=True))
    places = write_report(record, judge(record, 2.0), tmp_path)
    for place in places.values():
        place.read_text(encoding="utf-8")
    assert "lone\\udc80surrogate" in places["examples.csv"].read_text(encoding="utf-8")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    record = example_record()
    with pytest.raises(InputError, match="run: cannot be made: File exists") as error:
        write_report(record, judge(record, 2.0), tmp_path / "run")
    assert "\n" not in str(error.value)
