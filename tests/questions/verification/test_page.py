"""The page says how many predictions are right in the runtime, not only how many are alike."""

import io

from rich.console import Console

from bitcliff.questions.verification.page import render_verification, verification_section
from bitcliff.questions.verification.record import KEY, Verification
from bitcliff.record import Record
from bitcliff.report.html import Sections, render_html
from bitcliff.verdict import judge
from tests.a_record import figures_in
from tests.questions.page_text import rows_under, text_of
from tests.questions.verification.verified import WORST, verified


def figures(record: Record) -> Verification:
    return figures_in(record, KEY, Verification)


def printed(width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    record = verified()
    render_verification(record, figures(record), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def page_of(record: Record) -> str:
    section = verification_section(record, figures(record))
    return render_html(record, judge(record, 2.0), Sections(verification=[section]))


def test_without_labels_it_is_agreement_with_float() -> None:
    record = verified(labelled=False)
    page = page_of(record)
    assert '<th scope="col">As in float in the runtime</th>' in page
    assert "decided as in float" in text_of(page)


def test_the_worst_case_has_a_sentence_with_its_interval() -> None:
    text = printed(250)
    assert f"Under {WORST.name} the runtime has" in text
    assert "(3/6) right" in text
    assert "simulated it is" in text
    assert "(2/6)." in text


def test_no_policy_loses_its_name_in_a_narrow_terminal() -> None:
    for width, shown in ((80, False), (120, True)):
        words = printed(width).split()
        assert WORST.name in words
        assert ("first" in words) is shown


def test_the_page_holds_the_table_and_the_example_that_differs() -> None:
    page = page_of(verified())
    assert "Is what was simulated what runs?" in page
    assert "The decisions that differ: 1" in page
    ((example, *cells),) = rows_under(page, "caption-differing")
    assert example == "picture 3"
    assert "3 of 4" in cells
