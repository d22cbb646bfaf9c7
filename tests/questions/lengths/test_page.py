"""What the report says of padding."""

import numpy as np

from bitcliff.questions.lengths.page import lengths_section
from bitcliff.questions.lengths.record import FLOAT, KEY, LengthCell, Lengths
from bitcliff.questions.lengths.statistics import KIND
from bitcliff.record import Record, with_answer
from bitcliff.report.section import Section
from tests.a_record import figures_in
from tests.questions.lengths.test_statistics import POLICY, answered, cell, observed, record
from tests.questions.page_text import page_of, rows_of, text_of
from tests.questions.runtimes.in_runtimes import N


def section(of: Record) -> Section:
    return lengths_section(of, figures_in(of, KEY, Lengths))


def test_what_padding_and_company_change_is_told_with_floats_own_changes() -> None:
    of = answered()
    finding = section(of).finding
    assert finding == (
        "Padding at 4 tokens changes 1/2 (1.3 to 98.7\xa0%) decisions of <b>ort that float keeps. "
        "Float's own decisions change too: 1/4 (0.6 to 80.6\xa0%) at most. "
        "Company of longer examples at 20 tokens changes 1/19 (0.1 to 26.0\xa0%) decisions of "
        "<b>ort that float keeps. Float's own decisions change too: 1/20 (0.1 to 24.9\xa0%) at "
        "most."
    ).replace("<b>ort", POLICY)
    page = page_of(of, section(of))
    assert "Examples have 1 to 20 tokens without padding" in text_of(page)
    assert "Not measured: float at 40 tokens: too <i> long" in text_of(page)
    assert "<i>" not in page
    rows = rows_of(page)
    assert rows[1][:6] == ["4", "none", "3 of 4", POLICY, "2/3 (9.4 to 99.2\xa0%)", rows[1][5]]
    assert rows[-1][1] == "3 longest"
    assert rows[0][5] == "–"


def test_where_nothing_changes_that_is_told_with_how_far_it_was_tried() -> None:
    of = answered(cells=[cell(None, N), cell(N, N), cell(N, N, beside=True)], refused=[])
    assert section(of).finding == (
        "Padding up to 20 tokens changes no decision of a quantized network that float keeps. "
        "Company of longer examples up to 20 tokens changes no decision of a quantized network "
        "that float keeps."
    )


def test_of_float_alone_float_is_told() -> None:
    alone = [LengthCell(length=one, prediction={FLOAT: np.zeros(N, np.int32)}) for one in (None, N)]
    assert section(answered(cells=alone)).finding == (
        "Padding up to 20 tokens changes no decision of float."
    )


def test_a_reason_is_told() -> None:
    no = observed(reason="inputs are <i>mages", own=None, cells=[], refused=[])
    of = with_answer(record(), KEY, no, KIND)
    assert section(of).finding == "Not measured, because inputs are <i>mages."
    assert "<i>mages" not in page_of(of, section(of))
