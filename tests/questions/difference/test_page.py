"""What page and terminal say of a comparison of two."""

from bitcliff.questions.difference.page import difference_lines, difference_section
from bitcliff.questions.difference.record import KEY, Difference
from bitcliff.record import Record
from bitcliff.report.html import Sections, render_html
from bitcliff.verdict import judge
from tests.a_record import figures_in
from tests.questions.difference.differing import A, B, compared
from tests.questions.page_text import rows_under, text_of


def page_of(record: Record) -> str:
    section = difference_section(record, figures_in(record, KEY, Difference))
    return render_html(record, judge(record, 2.0), Sections(deployed=[section]))


def lines_of(record: Record) -> list[str]:
    return difference_lines(record, figures_in(record, KEY, Difference))


def test_the_page_has_every_pair_with_its_interval() -> None:
    page = page_of(compared())
    rows = rows_under(page, "caption-difference")
    assert [row[0] for row in rows] == [f"{B} against {A}", f"{B}-batch against {A}"]
    _, decided, lost, gained, change, p_value, divergence, margin = rows[0]
    assert decided.startswith("4/7 (18.4 to 90.1")
    assert (lost, gained, p_value) == ("2", "1", "1.000")
    assert change.startswith("−14.3 (−")
    assert divergence == "0.375 (0.25; 1)"
    assert margin == "0.25 (2.25)"


def test_decisions_that_differ_are_listed_the_largest_divergence_first() -> None:
    rows = rows_under(page_of(compared()), "caption-difference-decisions")
    assert [row[0] for row in rows] == ["<i>3", "<i>2", "<i>1", "<i>5"]
    assert rows[0][4:] == ["−1", "1.25", "1"]


def test_layers_and_where_values_go_are_tables() -> None:
    page = page_of(compared())
    first, second = rows_under(page, "caption-difference-layers")
    assert plain(first) == ["first", "0.0 %", "0", "0.0 %", "1.75", "–", "0/7"]
    assert plain(second)[3:6] == ["2.9 %", "1.75", "25.0 %"]
    (row,) = rows_under(page, "caption-difference-losses-1")
    assert plain(row) == ["second", "0.04", "5.0 %", "25.0 %", "10.0 %"]


def plain(cells: list[str]) -> list[str]:
    return [cell.replace("\u00a0", " ") for cell in cells]


def test_the_headline_is_the_difference_and_names_are_escaped() -> None:
    page = page_of(compared())
    assert f"{B} decides 4 of 7 examples differently from {A}." in text_of(page)
    assert "Right under mxfp8-floor and wrong under <b>ort: 2;" in text_of(page)
    assert "<b>ort" not in page
    assert "<i>3" not in page


def test_without_labels_both_are_held_to_each_other() -> None:
    text = text_of(page_of(compared(labelled=False)))
    assert "no labels to tell which of the two is right" in text
    assert "By both 3 of 7 decided alike" in text


def test_sentences_name_the_first_layer_and_say_why_there_is_none() -> None:
    lines = lines_of(compared())
    assert lines[0].startswith(f"{B} decides 4 of 7 examples differently from {A} (18.4 to 90.1")
    assert lines[-1] == (
        "Values first differ at second: its inputs are rounded differently (2.9\u00a0% of the "
        "values, relative squared error 1.75)."
    )
    unseen = compared(layers=None, no_layers="ort shows no values", sides=[])
    assert lines_of(unseen)[-1] == "Not compared layer by layer: ort shows no values."
    assert "caption-difference-layers" not in page_of(unseen)
