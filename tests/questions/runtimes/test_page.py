"""What the report says of runtimes."""

import pytest

from bitcliff.questions.runtimes.page import runtimes_lines, runtimes_section
from bitcliff.questions.runtimes.record import KEY, Runtimes
from bitcliff.record import Record
from bitcliff.report.html import Sections, render_html
from bitcliff.report.risk import changed_by
from bitcliff.report.section import Section
from bitcliff.types.runtime_choice import OrtOptions
from bitcliff.verdict import judge
from tests.a_record import figures_in
from tests.questions.page_text import rows_under, text_of
from tests.questions.runtimes.in_runtimes import elsewhere, record_in_runtimes, runtime
from tests.report.example_record import example_record


def section(record: Record) -> Section:
    figures = figures_in(record, KEY, Runtimes)
    return runtimes_section(record, figures)


def page_of(record: Record) -> str:
    return render_html(record, judge(record, 2.0), Sections(deployed=[section(record)]))


def test_the_block_says_what_brings_the_simulation_nearer() -> None:
    record = record_in_runtimes()
    page = page_of(record)
    (_, integers, in_float, quantized, _, ratio, _) = rows_under(page, "caption-runtimes")[0]
    assert integers == "20 Conv, 1 MatMul"
    assert in_float == "none"
    assert quantized == "4.00 (3.00–5.00)"
    assert ratio == "2.0 times as slow"
    finding = section(record).finding
    assert finding.startswith(
        "Simulated at 8 bits everywhere, 4 of 20 decisions are other than in <b>ort; with "
        "everything simulated that can be told apart, 3 of 20."
    )
    assert finding.endswith("Batches change 1 of 20 decisions.")
    rungs = rows_under(page, "caption-ablation-1")
    assert [rung[0] for rung in rungs] == [
        "Simulated here",
        "+ weights",
        "The runtime",
        "The runtime, in batches",
    ]
    assert rungs[0][2] == "–"
    assert "none: sums of 8-bit unsigned by signed products may" in text_of(page)
    assert "Not measured: folded: no trace" in text_of(page)


def test_a_network_that_was_not_looked_into_has_no_ablation() -> None:
    speed = runtime().speed.model_copy(update={"simulation": None})
    record = record_in_runtimes(rungs=[], left_out=[], speed=speed)
    page = page_of(record)
    assert section(record).finding == ""
    assert rows_under(page, "caption-runtimes")[0][-1] == "–"
    assert "caption-ablation" not in page
    assert "Not measured" not in page


def test_the_page_escapes_what_a_runtime_calls_itself() -> None:
    record = record_in_runtimes()
    page = page_of(record)
    assert "&lt;b&gt;ort" in page
    assert "<b>ort" not in page
    assert "From the simulation to" in page
    assert changed_by(record) == "a runtime"


WIDER = (
    "Runtime's session.x64quantprecision to 1 (a reduced range avoids it too, but leaves weights 7 "
    "bits, which can cost more)."
)


@pytest.mark.parametrize(
    ("may", "options", "says"),
    [
        (True, OrtOptions(), f"has it; give weights=uint8, or set ONNX {WIDER}"),
        (True, None, f"has it; set ONNX {WIDER}"),
        (False, OrtOptions(weights="uint8"), None),
    ],
)
def test_sums_that_may_saturate_are_told_in_page_and_terminal(
    may: bool, options: OrtOptions | None, says: str | None
) -> None:
    record = record_in_runtimes(may_saturate=may, options=options, in_float={"Conv": 3, "Add": 1})
    page, lines = text_of(page_of(record)), runtimes_lines(record)
    assert lines[0] == (
        "<b>ort: as it ships. In integers: 20 Conv, 1 MatMul; in float: 3 Conv, 1 Add. "
        "On this machine 2.0 times as slow as float in the same runtime."
    )
    if says is None:
        assert "aturate" not in page
        assert len(lines) == 1
    else:
        assert "May saturate: weights of 8 bits with a sign" in page
        assert says in page
        assert lines[1].startswith("! <b>ort: weights of 8 bits with a sign, and this processor")
        assert lines[1].endswith(says)


def test_what_changes_no_answer_is_no_reason_to_change_anything() -> None:
    there = elsewhere((), checked=9, alike=9)
    record = record_in_runtimes(may_saturate=True, other_processor=there)
    _, told, *_ = runtimes_lines(record)
    assert told.endswith("may saturate; on these examples that changes no answer.")
    other = record_in_runtimes(may_saturate=True, other_processor=elsewhere({3, 7}))
    assert runtimes_lines(other)[1].endswith("which can cost more).")


def test_what_other_processors_decide_is_told_in_page_and_terminal() -> None:
    record = record_in_runtimes(other_processor=elsewhere({3, 7}, checked=9, alike=9))
    page, lines = page_of(record), runtimes_lines(record)
    forecast = (
        "on processors with VNNI 2/20 (1.2 to 31.7\xa0%) decisions would differ from here, and "
        "18/20 would be right, where 20/20 are here: the sums of its integer products were "
        "simulated. This processor's own, simulated pair by pair, gave the runtime's scores to the "
        "bit for 9 of 9 examples (no nodes fused)."
    )
    assert f"On other processors: {forecast}" in text_of(page)
    assert lines[1] == f"! <b>ort: {forecast} They are 3, 7."
    rows = rows_under(page, "caption-elsewhere-1")
    assert rows[0] == ["3", "class 0 (0)", "class 0 (0)", "class 0 (0)", "class 1 (1)"]
    assert [row[0] for row in rows] == ["3", "7"]


def test_batches_are_forecast_too_and_what_is_not_is_named() -> None:
    why = "x86 processors without VNNI: only products by one matrix, and not QLinearConv <conv1>"
    record = record_in_runtimes(
        other_processor=elsewhere({3}), other_in_batches=elsewhere({3, 7}), not_forecast=[why]
    )
    page, lines = page_of(record), runtimes_lines(record)
    assert "on processors with VNNI 1/20 (" in lines[1]
    says = " They are 3. In batches 3/20 ("
    assert says in lines[1]
    assert "would differ, and 18/20 would be right, where 19/20 are here." in lines[1]
    assert "In batches 3/20 (" in text_of(page)
    assert lines[2] == f"! <b>ort: no forecast for {why}."
    assert f"No forecast for {why}." in text_of(page)


def test_processors_that_decide_alike_are_no_warning() -> None:
    record = record_in_runtimes(other_processor=elsewhere((), saturates=True))
    page, lines = page_of(record), runtimes_lines(record)
    assert lines[1].startswith("<b>ort: on x86 processors without VNNI 0/20 (0.0 to 16.8\xa0%) dec")
    assert lines[1].endswith("the sums of its integer products were simulated.")
    assert "On other processors: on x86 processors without VNNI 0/20" in text_of(page)
    assert "caption-elsewhere" not in page


def test_what_of_a_plan_was_not_applied_is_told_in_page_and_terminal() -> None:
    record = record_in_runtimes(not_applied=["fc <i> stays quantized", "b is not"])
    page, lines = page_of(record), runtimes_lines(record)
    assert "Of the plan, not applied: fc <i> stays quantized; b is not." in text_of(page)
    assert "<i>" not in page
    assert "! <b>ort: of the plan, fc <i> stays quantized." in lines


def test_without_runtimes_the_page_does_not_speak_of_them() -> None:
    record = example_record()
    page = render_html(record, judge(record, 2.0), Sections())
    assert 'id="runtimes"' not in page
    assert changed_by(record) == "an adversary who allocates the same bits"
    assert runtimes_lines(record) == []
