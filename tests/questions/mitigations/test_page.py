import re
from dataclasses import replace
from typing import Any

import pytest

from bitcliff.questions.mitigations.page import finding, mitigations_section
from bitcliff.questions.mitigations.record import (
    Cost,
    Family,
    Mitigated,
    Mitigations,
    RandomAllocation,
)
from bitcliff.questions.plan_in_runtime import PlanThere, in_runtimes
from bitcliff.record import Record
from bitcliff.record.plan import QuantizationPlan
from bitcliff.stats import paired_change, rate
from bitcliff.types.change import PairedChange
from tests.questions.page_text import page_of as section_of
from tests.questions.page_text import rows_under, text_of
from tests.questions.runtimes.in_runtimes import record_in_runtimes
from tests.report.example_record import example_record

N = 100


def change(lost: int, gained: int) -> PairedChange:
    return paired_change(N, lost, gained)


def row(family: Family, words: str, right: int, in_float: int = 0, **changes: Any) -> Mitigated:
    """Of 100 examples, all right in float and 10 before."""
    return Mitigated(
        family=family,
        words=words,
        float_points=[f"point{number}" for number in range(in_float)],
        floors={},
        scheme="onnx",
        cost=Cost(
            in_float=in_float,
            float_macs=in_float / 20,
            total_bits=5 * (20 - in_float),
            mean_bits=5.0,
            mean_with_float=5 + 27 * in_float / 20,
            freedom_log2=30.0,
        ),
        right=rate(right, N),
        before=rate(10, N),
        regained=change(0, right - 10),
        loss=change(N - right, 0),
        failures=0,
        passes=100,
        **{"standing": "fail", "on_front": False, **changes},
    )


BASE = row("none", "nothing changed", 10)
HELPS = row("float", "2 points kept in float", 100, in_float=2, standing="inconclusive")
HALF = row("combined", "1 point kept in float, at least 5 bits at every other point", 60, 1)
IDLE = row("percentile", "ranges clipped to 99 % of the values", 10)


def mitigations(
    *rows: Mitigated, recommended: Mitigated | None = None, **changes: Any
) -> Mitigations:
    plan = QuantizationPlan(model="m", float_points=["<b>&"], budget=[5.0])
    fields: dict[str, Any] = {
        "max_drop": 2.0,
        "worst": "worst-5",
        "float_right": rate(N, N),
        "unmitigated": BASE,
        "tried": list(rows),
        "recommended": [] if recommended is None else [recommended],
        "plan": None if recommended is None else plan,
    }
    return Mitigations(**{**fields, **changes})


def changed(record: Record, **changes: Any) -> Record:
    return replace(record, observed=record.observed.model_copy(update=changes))


def page_of(record: Record, found: Mitigations) -> str:
    return section_of(record, mitigations_section(record, found))


def cells(record: Record, found: Mitigations) -> list[list[str]]:
    return rows_under(page_of(record, found), "caption-mitigations")


def commands(record: Record, found: Mitigations) -> list[str]:
    """What stands in blocks of code after the plan."""
    blocks = re.findall(r"<pre.*?</pre>", page_of(record, found), re.DOTALL)
    return [text_of(block) for block in blocks[1:]]


def test_what_is_found_is_said_in_a_sentence() -> None:
    record = example_record()
    surely = HELPS.model_copy(update={"standing": "pass"})
    said = {
        "best": finding(record, mitigations(IDLE, HALF, recommended=HALF)),
        "measured": finding(record, mitigations(IDLE, HELPS, recommended=HELPS)),
        "surely": finding(record, mitigations(IDLE, surely, recommended=surely)),
        "none": finding(record, mitigations(IDLE)),
        "whole": finding(record, Mitigations(max_drop=2.0, not_measured="nothing is lost")),
    }
    assert said["best"].startswith(
        "Keeping 1 of 49 quantization points in float, with at least 5 bits at every other point, "
        "gives back 50.0 of 90.0 points lost (95 % interval "
    )
    assert said["best"].endswith(
        "40.0 points stay lost, more than the 2 allowed; no mitigation tried keeps to that."
    )
    assert said["measured"].startswith(
        "Keeping 2 of 49 quantization points in float gives back 90.0 of 90.0"
    )
    assert "verified against a new search" in said["measured"]
    assert "more examples would tell" in said["measured"]
    assert "lies within the 2 points allowed" in said["surely"]
    assert "No mitigation tried gives back more than chance could: the most is 0.0" in said["none"]
    assert said["whole"] == "Nothing to mend: nothing is lost."


def test_where_another_mitigation_keeps_to_the_limit_none_is_said_to_fail() -> None:
    """The one recommended was chosen on other examples, where it may have kept to it as well."""
    confirmed = {"recommended_on": N, "confirmed": [HALF]}
    said = finding(example_record(), mitigations(HALF, HELPS, recommended=HALF, **confirmed))
    assert said.endswith(" 40.0 points stay lost, more than the 2 allowed.")


def test_a_mitigation_that_does_nothing_is_said_to_do_nothing() -> None:
    rows = cells(example_record(), mitigations(IDLE, HELPS, recommended=HELPS))
    assert [(row[0], row[-1]) for row in rows] == [
        ("0", "fails"), ("1", "fails"), ("2", "inconclusive"),
    ]  # fmt: skip
    assert rows[0][6] == ""
    assert rows[1][6].startswith("nothing beyond chance: 0.0 (")
    _, _, in_float, bits, _, right, regained, _, _ = rows[2]
    assert (in_float, bits) == ("2; 10.0\u00a0%", "5; 7.7")
    assert right.startswith("100.0\u00a0% (100/100) ")
    assert regained == "90.0 (79.8 to 95.1)"


def test_the_table_tells_which_points_a_mitigation_picks() -> None:
    record = example_record()
    names = [point.name for point in record.subject.points if point.quantized]
    picked = [
        HELPS.model_copy(update={"float_points": [names[4], names[1]]}),
        HELPS.model_copy(update={"float_points": [], "floors": {names[2]: 8}}),
        HELPS.model_copy(
            update={"float_points": [names[0]], "floors": dict.fromkeys(names[1:], 5)}
        ),
        HELPS.model_copy(update={"float_points": [], "floors": dict.fromkeys(names, 5)}),
    ]
    shown = [row[1] for row in cells(record, mitigations(*picked))[1:]]
    assert shown == [
        f"{HELPS.words}{points}" for points in (" points 2, 5", " point 3", " point 1", "")
    ]


def test_how_to_use_the_plan() -> None:
    record = example_record()
    same = QuantizationPlan(model="m", weights_sha256=record.provenance.weights_sha256)
    found = mitigations(HELPS, recommended=HELPS, plan=same)
    assert commands(record, found) == [
        f"{record.provenance.command} --plan RUN/plan.yaml --out RUN-with-plan"
    ]
    command = "bitcliff assess brittle-digits --examples 0 --out run"
    shipped = changed(
        record,
        provenance=record.provenance.model_copy(update={"command": command}),
        subject=record.subject.model_copy(update={"model": "brittle-digits", "data": "digits"}),
    )
    tuned = QuantizationPlan(model="zoo:digits", weights_sha256="other")
    assert commands(shipped, mitigations(HELPS, recommended=HELPS, plan=tuned)) == [
        "bitcliff assess zoo:digits --examples 0 --out run --data digits "
        "--weights RUN/network.safetensors --plan RUN/plan.yaml --out RUN-with-plan"
    ]


@pytest.mark.parametrize("labelled", [True, False])
def test_the_page_shows_everything_and_escapes_names(labelled: bool) -> None:
    record = example_record()
    subject = record.subject.model_copy(update={"labelled": labelled})
    drawn = RandomAllocation(draws=4, mean=rate(80, N), worst=rate(70, N), all_right=rate(9, N))
    found = mitigations(
        IDLE, HALF, HELPS, recommended=HELPS, random=drawn, chosen_on=50, tuned=True
    )
    record = changed(record, subject=subject)
    page = page_of(record, found)
    assert "&lt;b&gt;&amp;" in page
    assert "<b>&" not in page
    for words in (
        "What helps?",
        "over 4 draws",
        "chosen on 50",
        "network.safetensors",
        "plan.yaml",
    ):
        assert words in page
    assert (
        "Without float nothing comes back; with 10.0\u00a0% of the work in float 90.0."
    ) in text_of(page)


def test_a_run_with_nothing_to_mend_has_a_section_without_table() -> None:
    record = example_record()
    found = Mitigations(max_drop=2.0, not_measured="the worst case found loses nothing")
    page = page_of(record, found)
    assert "Nothing to mend: the worst case found loses nothing." in page
    assert "caption-mitigations" not in page


def test_a_plan_is_for_a_runtime_only_where_it_was_run_and_helps() -> None:
    record = record_in_runtimes()
    names = in_runtimes(record)
    assert names
    found = mitigations(HELPS, recommended=HELPS)
    text = text_of(page_of(record, found))
    assert f"Not run in {names[0]}, and so not recommended for it: the Bitcliff that" in text
    assert f"bitcliff explain RUN --policy {names[0]} --only layers" in text
    ran = PlanThere(
        policy=names[0],
        points=["<b>&"],
        not_kept=[],
        left_out="",
        float_rate=rate(N, N),
        without=rate(70, N),
        right=rate(97, N),
        regained=change(0, 27),
        loss=change(3, 0),
        recommended=True,
    )
    text = text_of(page_of(record, found.model_copy(update={"in_runtimes": [ran]})))
    text = text.replace("\u00a0", " ")
    assert f"Run in {names[0]} with these layers in float, 97.0 % (97/100)" in text
    assert "without, 70.0 % (70/100)" in text
    assert "27 given back, 0 lost" in text
    assert f"Recommended for {names[0]}." in text
    chance = ran.model_copy(update={"regained": change(2, 3), "recommended": False})
    text = text_of(page_of(record, found.model_copy(update={"in_runtimes": [chance]})))
    assert f"Nothing beyond chance: not recommended for {names[0]}." in text
    floors = mitigations(HELPS)
    assert "Not run in" not in text_of(page_of(record, floors))
