"""The first screen in the terminal."""

import io
import re
from typing import Literal

import pytest
from rich.console import Console

from bitcliff.record import Folding, Record, record_of
from bitcliff.report import render_html, render_summary
from bitcliff.report.html import Sections
from bitcliff.verdict import judge
from tests.a_record import renamed, with_conditions
from tests.report.example_record import Variant, example_record


def shown(record: Record, width: int = 80, colour: bool = False) -> str:
    buffer = io.StringIO()
    colours: Literal["standard"] | None = "standard" if colour else None
    console = Console(file=buffer, width=width, force_terminal=colour, color_system=colours)
    render_summary(record, judge(record, 2.0), console)
    return buffer.getvalue()


def reported(record: Record) -> str:
    return render_html(record, judge(record, 2.0), Sections()).replace("<wbr>", "")


def flowing(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_verdict_then_finding_then_numbers() -> None:
    text = flowing(shown(example_record()))
    parts = [
        "Fails: with the bits placed as badly as the search could find",
        "The same 7 bits a layer: 18 of 20 right when allocated evenly, "
        "8 of 20 when allocated badly (3 to 10 each).",
        "With the same total of bits, allocated badly, 10 of 18 right answers are lost; "
        "allocated evenly, none.",
        "float – 18/20 (68–99 %)",
        "worst-7 18/20 8/20 (19–64 %) 10 50.0 (16 to 73) 0.049",
        "worst-static-7 9/10 4/10 (12–74 %) 5 50.0",
        "At risk: 10 of 20 images have their answer changed by an adversary, ",
        "9 of the 10 flips found under worst-7 stay in all 3 repeats with the image nudged by "
        "one part in a million.",
        "worst-static: measured on 10 of 20 images; float has 9 of these 10 right.",
        "Coverage: 49 points quantized, 1 left out on purpose, 0 not covered; 97.0 %",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_even_policies_that_nothing_else_shares_a_mean_with_are_left_to_the_report() -> None:
    text = shown(example_record())
    assert "uniform-7" in text
    assert "uniform-2" not in text
    assert "6 more even policies are in the report." in text


def test_judged_policies_are_never_hidden() -> None:
    text = shown(example_record(Variant(adversary=False)))
    assert all(f"uniform-{bits} " in text for bits in range(2, 11))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_no_name_is_cut(width: int) -> None:
    text = shown(example_record(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "worst-evolutionary-7" in text
    assert "…" not in text


def test_where_all_are_measured_alike_the_bits_take_the_place_of_float() -> None:
    alike = with_conditions(example_record(), lambda one: one.kind != "worst-static")
    text = flowing(shown(alike))
    assert "policy bits accuracy flips" in text
    assert "worst-7 7 8/20 (19–64 %) 10 50.0 (16 to 73) 0.043" in text  # 22 * 2 / 2^10
    assert "measured on" not in text


def test_many_examples_and_long_names_leave_columns_out_and_cut_nothing() -> None:
    record = example_record(Variant(n=200, uniform=False, budgets=(5.75,)))
    text = shown(record)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "worst-evolutionary-5.75" in text
    assert re.search(r"worst-static-5.75 +90/100 +40/100 \(30–50 %\) ", text)


def test_records_without_repeats_say_nothing_of_them() -> None:
    assert "repeat" not in shown(example_record(Variant(repeats=0)))


def test_without_labels() -> None:
    text = shown(example_record(Variant(labelled=False)))
    assert "as in float" in text
    assert "drop" not in text.split("policy")[1]


def test_numeric_failures_are_marked() -> None:
    text = shown(example_record(Variant(failures=True)))
    assert re.search(r"worst-7 .* \d+! ", text)
    assert "! NaN or infinity under worst-7." in text


def test_names_cannot_write_to_the_terminal() -> None:
    record = example_record(Variant(hostile=True))
    for name in ("\x1b]0;owned\x07[bold red]x[/]\n:bomb:", "[/]", "[link=https://evil.invalid]"):
        text = shown(renamed(record, record.at_risk[0], name))
        assert "\x1b" not in text
        assert "\x07" not in text
        assert name.replace("\x1b", "\ufffd").replace("\x07", "\ufffd").replace(
            "\n", "\ufffd"
        ) in flowing(text)


@pytest.mark.parametrize(("variant", "code"), [(Variant(), "31"), (Variant(cliff=False), "33")])
def test_the_status_has_its_colour_and_its_word(variant: Variant, code: str) -> None:
    text = shown(example_record(variant), colour=True)
    assert re.search(rf"\x1b\[1;{code}m(?:Fails|Inconclusive): ", text)


def test_what_folding_changed_is_one_line() -> None:
    def folded(folding: Folding) -> Record:
        return record_of(record.observed.model_copy(update={"folding": folding}))

    record = example_record()
    assert "BatchNorm" not in shown(record)
    folding = Folding(names=["bn1", "bn2"], largest_difference=0.00123, changed=[4])
    assert (
        "2 BatchNorms were folded into the layer before; in float this moves scores by at most "
        "0.0012 and changes 1 of 20 decisions." in flowing(shown(folded(folding)))
    )
    two = folding.model_copy(update={"left": 2})
    assert "decisions; 2 more follow no layer alone and stay." in flowing(shown(folded(two)))
    nothing = folding.model_copy(update={"names": []})
    text = flowing(shown(folded(nothing)))
    assert "BatchNorm: none that follows a layer alone, so nothing was folded." in text
    none = nothing.model_copy(update={"left": 0})
    told = "BatchNorm: the network has none, as where its exporter folded it; nothing to fold."
    assert told in flowing(shown(folded(none)))


def test_how_labels_were_read_is_listed() -> None:
    record = example_record()
    told = "numbered in natural order: r0=0,r90=1"
    subject = record.subject.model_copy(update={"labelling": told})
    record = record_of(record.observed.model_copy(update={"subject": subject}))
    assert f"Labels: {told}." in flowing(shown(record))
    assert "Labels:" not in shown(example_record())


def test_float_that_guesses_is_said_loudly() -> None:
    record = example_record()
    wrong = record.table.model_copy(update={"labels": (record.table.prediction + 1) % 1000})
    text = flowing(shown(record_of(record.observed.model_copy(update={"examples": wrong}))))
    assert "Warning: Even in float, only 0.0 % (0/20) of the images are right" in text
    assert "--label-map" in text
    assert "by chance" not in shown(example_record())


def test_without_labels_it_is_said_what_an_answer_is() -> None:
    """In the terminal and in the report, with what to do where it is not so."""
    said = "No labels: the largest of 1000 outputs is taken as the answer"
    bare, labelled = example_record(Variant(labelled=False)), example_record()
    for text in (shown(bare), reported(bare)):
        assert said in flowing(text)
        assert "give --task values:TOLERANCE" in flowing(text)
    for text in (shown(labelled), reported(labelled)):
        assert said not in flowing(text)


def test_most_of_the_work_left_out_is_said_loudly() -> None:
    record = example_record()
    stem, *others = record.subject.points
    much = stem.model_copy(
        update={"macs": 10**12, "reason": "stem input: the image itself", "name": "features"}
    )
    subject = record.subject.model_copy(update={"points": [much, *others]})
    text = flowing(shown(record_of(record.observed.model_copy(update={"subject": subject}))))
    assert "MOST OF THE WORK IS LEFT OUT: 100 %, the most in _conv_stem (stem input" in text
    assert "--include-stem takes it in." in text
    assert "LEFT OUT" not in shown(example_record())
