"""The page of a model's history, as text and in a real browser."""

import json
from pathlib import Path

import numpy as np
import pytest

from bitcliff.record import Record, record_of, write_record
from bitcliff.report.history import Release, render_history
from bitcliff.run.archive.reading import read_run
from tests.browser import Visit, launched
from tests.record.test_across import with_data, with_wrong
from tests.report.example_record import HOSTILE


def release(record: Record, folder: Path, day: str, weights: str, model: str = "net") -> Release:
    source = {"started": f"2026-{day}T08:00:00+00:00", "weights_sha256": weights * 64}
    update = {
        "provenance": record.provenance.model_copy(update=source),
        "subject": record.subject.model_copy(update={"model": model}),
    }
    record = record_of(record.observed.model_copy(update=update))
    (folder / day).mkdir()
    write_record(record, folder / day)
    return read_run(folder / day, "assess"), record


@pytest.fixture
def releases(record: Record, tmp_path: Path) -> list[Release]:
    right = np.flatnonzero(record.outcomes["uniform-8"].prediction == record.table.targets)
    worse = with_wrong(record, "uniform-8", right[:15].tolist())
    return [
        release(record, tmp_path, "01-05", "a"),
        release(record, tmp_path, "02-05", "b"),
        release(worse, tmp_path, "03-05", "c"),
    ]


def test_it_says_what_got_worse_and_when(releases: list[Release]) -> None:
    page = render_history(releases)
    assert "From 2026-02-05 bbbbbbb to 2026-03-05 ccccccc, uniform-8 got worse." in page
    assert "3 runs of 3 sets of weights" in page
    assert page.count("got worse</bdi>") == 1
    assert page == render_history(releases)
    accuracy = json.loads((Path(releases[2][0].path) / "record.json").read_text())["figures"]
    (one,) = (p for p in accuracy["policies"] if p["name"] == "uniform-8")
    assert f"{100 * one['accuracy']['value']:.1f}" in page
    assert "Nothing is shown to have got worse" in render_history(releases[:2])
    assert "nothing to compare yet" in render_history(releases[:1])


def test_runs_on_other_examples_stand_apart(
    releases: list[Release], record: Record, tmp_path: Path
) -> None:
    other = release(with_data(record, "3" * 64), tmp_path, "04-05", "d")
    page = render_history([*releases, other])
    assert page.count("Every run on these 40 examples") == 2
    assert "ddddddd to" not in page
    assert "ccccccc → 2026-04-05" not in page


def test_names_from_records_do_no_harm_in_a_browser(
    record: Record, releases: list[Release], tmp_path: Path
) -> None:
    hostile = release(record, tmp_path, "05-05", "e", "".join(HOSTILE[:3]))
    file = tmp_path / "history.html"
    file.write_text(render_history([*releases, hostile]))
    assert "<script" not in file.read_text()
    with launched() as browser:
        for width in (360, 1100):
            with Visit(browser, file, width) as page:
                assert page.locator("svg.plot:visible").count() == 1
                assert page.evaluate("document.documentElement.scrollWidth") <= width
