"""The page of `bitcliff guard`, as text and in a browser."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from bitcliff.questions.guard.page import guard_lines, render_guard, rule_asked_for
from tests.browser import Visit, contrast, inks, launched
from tests.questions.guard.examples import record
from tests.questions.page_text import rows_under, text_of


def test_the_page_says_what_is_guaranteed_and_the_figures() -> None:
    made = record()
    page, rule = render_guard(made), rule_asked_for(made)
    text = text_of(page)
    assert "Except with a chance of 20.0 % over the 40 examples that calibrated it" in text.replace(
        "\u00a0", " "
    )
    assert "a batch shares a scale" in text
    rows = {row[0]: row for row in rows_under(page, "caption-guards")}
    assert [*rows] == ["margin alone", "margin and entropy", "all signals"]
    cost, missed = rule.at.cost, rule.at.missed
    assert rows["margin alone"][1].startswith(f"{cost.k}/{cost.n} (")
    assert rows["margin alone"][2].startswith(f"{missed.k}/{missed.n} (")
    assert len(rows_under(page, "caption-curve")) == len(rule.curve)
    assert len(rows_under(page, "caption-changes")) == 3
    assert "97.5 % (39/40)" in text.replace("\u00a0", " ")


def test_the_terminal_tells_the_finding_first() -> None:
    made = record(labelled=False, exported=False)
    at = rule_asked_for(made).at
    lines = guard_lines(made)
    assert lines[0].startswith("Running ")
    assert lines[0].endswith(f"leaves {at.missed.k} of {made.figures.lost[2].k} losses.")
    assert any(line.startswith("float, as in float") for line in lines)
    assert not any("onnx" in line for line in lines)


def test_that_nothing_less_than_all_will_do_is_no_pass() -> None:
    made = record()
    rule = rule_asked_for(made)
    at = rule.at.model_copy(update={"flags": "all", "threshold": None})
    guards = [rule.model_copy(update={"at": at}), *made.figures.guards[1:]]
    worst = type(made)(made.observed, made.figures.model_copy(update={"guards": guards}))
    assert "Nothing but running all in float again keeps to" in render_guard(worst)
    assert 'class="verdict inconclusive"' in render_guard(worst)


def test_names_from_data_cannot_do_anything() -> None:
    page = render_guard(record())
    assert "<script" not in page
    assert page == render_guard(record())


def test_where_nothing_is_lost_nothing_has_to_be_run_again() -> None:
    calm = record(lost=np.zeros(120, dtype=bool), exported=False)
    assert "Within 10.0\u00a0% nothing has to be run again in float." in render_guard(calm)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as running:
        yield running


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_shows_it_legibly_without_a_complaint(
    browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_guard(record()))
    with Visit(browser, file, width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert min(contrast(ink, ground) for ink, ground, _ in inks(page)) >= 4.5
