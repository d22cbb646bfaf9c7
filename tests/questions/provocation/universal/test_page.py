"""The page and the lines of a scan."""

from bitcliff.questions.provocation.universal.page import (
    finding,
    render_universal,
    universal_lines,
)
from bitcliff.questions.provocation.universal.store import UNIVERSAL
from tests.questions.provocation.provoked import HOSTILE
from tests.questions.provocation.universal.scanned import observed, record


def test_the_page_holds_the_finding_and_nothing_hostile() -> None:
    page = render_universal(record())
    assert page == render_universal(record())
    assert "on 40 of 40 held-out examples, where float decides as before" in page
    assert "To class" in page
    assert "other range" in page
    for hostile in ("<script>alert", "javascript:", "<img src=x"):
        assert hostile not in page


def test_the_lines_tell_each_class_and_the_verdict() -> None:
    lines = universal_lines(record(), 50.0)
    assert "Warning: the same search turns 41 of 120" in lines[2]
    rows = [line for line in lines if line.startswith("patch:3")]
    assert [line.endswith("accused") for line in rows] == [False, False, True, False]
    assert lines[-1].startswith("Fail: turned by one trigger 100.0 % (40/40)")
    assert "other range        right 50.0 % (20/40); turned by the trigger 25.0 %" in lines[-2]
    assert HOSTILE not in "\n".join(lines)


def test_where_none_is_accused_it_is_no_proof() -> None:
    none = UNIVERSAL.of(observed([[], [], [], []]))
    assert finding(none).startswith("No trigger was found that turns mxfp4-rceil to one of 4")
    page = render_universal(none)
    assert "(not accused)" in page
    assert "is no proof that there is no trigger" in page
    assert "turns none of 120" in universal_lines(none)[2]
