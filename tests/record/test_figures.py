"""Figures against brute force, scipy and statsmodels, in corners that an assessment seldom reaches;
all else is in tests/contract."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitcliff.record import (
    Condition,
    ExampleRow,
    Folding,
    Outcome,
    PointRow,
    PolicyResult,
    Record,
    Uncovered,
    record_json,
)
from bitcliff.record.conditions import Kind
from bitcliff.record.figures import coverage, median_draw
from tests.a_record import record_of_rows, with_subject
from tests.contract import recompute
from tests.report.example_record import Variant, example_record

LIKE = example_record(Variant(n=1)).observed
NAME = "worst-4"


def condition(kind: Kind = "worst", mean_bits: float = 4.0) -> Condition:
    return Condition(kind=kind, description="", mean_bits=mean_bits, total_bits=8)


def recorded(rows: Sequence[ExampleRow], *conditions: Condition, **changes: Any) -> Record:
    return record_of_rows(LIKE, rows, conditions or [condition()], **changes)


def row(
    label: int | None,
    in_float: int | None,
    rounded: int | None,
    margin: float = -1.0,
    name: str = NAME,
    row_id: str = "",
    draws: list[int | None] | None = None,
    repeats: list[int | None] | None = None,
) -> ExampleRow:
    failed = rounded is None
    return ExampleRow(
        id=row_id or f"{label}-{in_float}-{rounded}",
        label=label,
        float_prediction=in_float,
        float_margin=None if in_float is None else 1.0,
        outcomes={
            name: Outcome(
                prediction=rounded,
                margin=None if failed else margin,
                failed_at="somewhere" if failed else None,
                bits=[4, 4],
                draws=draws,
                repeats=repeats,
            )
        },
    )


def figures(rows: list[ExampleRow]) -> PolicyResult:
    return recorded(rows).by_name[NAME]


def test_numeric_failures_enter_no_rate_but_their_own() -> None:
    rows = [row(0, 0, 0), row(1, 1, None), row(1, None, 1), row(0, 0, 1), row(1, 0, 1)]
    record = recorded(rows)
    found = record.by_name[NAME]
    assert (found.accuracy.k, found.accuracy.n) == (2, 3) if found.accuracy else False
    assert (found.agreement.k, found.agreement.n) == (1, 3)
    assert (found.numeric_failures.k, found.numeric_failures.n) == (1, 5)
    assert found.flips.lost is not None
    assert found.flips.gained is not None
    assert (found.flips.all.k, found.flips.lost.k, found.flips.gained.k) == (2, 1, 1)
    assert found.change is not None
    assert found.change.difference_pp == 0.0
    assert found.change.p_value == 1.0
    in_float = record.float_
    assert in_float.accuracy is not None
    assert (in_float.accuracy.k, in_float.accuracy.n) == (3, 4)
    assert (in_float.numeric_failures.k, in_float.numeric_failures.n) == (1, 5)


@pytest.mark.parametrize("label", [0, None])
def test_where_nothing_was_answered_nothing_is_claimed(label: int | None) -> None:
    found = figures([row(label, 0, None), row(label, 0, None)])
    assert found.agreement.value is None
    assert found.change is None
    assert found.flips.upper_95 is None
    assert (found.accuracy is None) == (label is None)
    assert found.worst_class is None


def test_an_example_that_fails_in_float_is_not_at_risk() -> None:
    rows = [row(0, None, 1), row(0, 0, 1), row(0, 0, 0), row(0, 0, None)]
    assert recorded(rows).at_risk == ["0-0-1"]


def test_at_risk_is_ordered_by_the_worst_margin_of_any_adversary() -> None:
    def of(name: str, row_id: str, margin: float, flips: bool = True) -> ExampleRow:
        return row(0, 0, 1 if flips else 0, margin, name, row_id)

    def merged(*parts: ExampleRow) -> ExampleRow:
        outcomes = {name: out for part in parts for name, out in part.outcomes.items()}
        return replace(parts[0], outcomes=outcomes)

    rows = [
        merged(of("worst-4", "a", -1.0), of("worst-evolutionary-4", "a", -5.0)),
        merged(of("worst-4", "b", -3.0), of("best-4", "b", -9.0)),
        of("worst-4", "c", 0.5, flips=False),
        of("best-4", "d", -9.0),
        of("worst-4", "f", -1.0),
        of("worst-4", "e", -1.0),
    ]
    kinds: tuple[Kind, ...] = ("worst", "worst-evolutionary", "best")
    assert recorded(rows, *map(condition, kinds)).at_risk == ["a", "b", "e", "f"]


def test_what_a_runtime_flips_is_at_risk() -> None:
    runtime = Condition(kind="runtime", description="", runtime="ort", runtime_version="ort 1")
    rows = [row(0, 0, 1, name="ort", row_id="a"), row(0, 0, 0, name="ort", row_id="b")]
    rows = [replace(one, outcomes={"ort": replace(one.outcomes["ort"], bits=None)}) for one in rows]
    record = recorded(rows, runtime)
    assert (record.at_risk, record.names_deployed) == (["a"], {"ort"})


def test_the_worst_class_is_the_lowest_then_the_larger_then_the_first() -> None:
    rows = [
        row(2, 2, 2),
        row(3, 3, 0),
        row(3, 3, 3),
        row(1, 1, 0),
        row(1, 1, 1),
        row(1, 1, 1),
        row(1, 1, 0),
    ]
    worst = figures(rows).worst_class
    assert worst is not None
    assert (worst.label, worst.accuracy.k, worst.accuracy.n) == (1, 2, 4)
    worst = figures([row(5, 5, 0), row(4, 4, 0)]).worst_class
    assert worst is not None
    assert worst.label == 4


def test_zero_flips_are_reported_with_their_upper_bound() -> None:
    found = figures([row(0, 0, 0, row_id=str(place)) for place in range(20)])
    assert found.flips.upper_95 == pytest.approx(1 - 0.05 ** (1 / 20))
    assert found.flips.all.high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_the_median_draw_counts_failures_as_not_right() -> None:
    draws = np.array([[0, 1, -1], [0, 1, 2], [-1, -1, -1], [0, 0, 0]], dtype=np.int32)
    # right answers: 2, 3, 0, 1
    assert median_draw(draws, np.array([0, 1, 2], dtype=np.int32)) == 3
    # What fails in float is no right answer where it fails again.
    assert median_draw(draws, np.array([-1, -1, -1], dtype=np.int32)) == 0


def test_right_is_the_label_and_without_labels_what_float_says() -> None:
    assert recorded([row(2, 1, 0), row(1, 1, 0)]).table.targets.tolist() == [2, 1]
    unlabelled = recorded([row(None, 1, 0), row(None, None, 0)])
    assert unlabelled.table.labels is None
    assert unlabelled.table.targets.tolist() == [1, -1]


def test_distribution_and_outcomes_speak_of_the_same_draw() -> None:
    table: list[list[int | None]] = [[0, 0, 1], [1, 1, 0], [1, None, 1]]
    rows = [
        row(p, p, draws[0], draws=list(draws)) for p, draws in zip((0, 1, 1), table, strict=True)
    ]
    found = figures(rows)
    assert found.distribution is not None
    middle = found.distribution.median_draw
    assert [rate.k for rate in found.distribution.agreement] == [3, 2, 1]
    assert middle == 1
    assert [rate.n for rate in found.distribution.agreement] == [3, 2, 3]


def test_holm_leaves_out_what_was_not_tested() -> None:
    """Six flips of six under two conditions; under the third no example has an answer."""
    tested = Outcome(prediction=1, margin=-1.0, bits=[4, 4])
    failed = Outcome(prediction=None, margin=None, failed_at="somewhere", bits=[4, 4])
    outcomes = {"worst-4": tested, "worst-6": failed, "worst-5": tested}
    rows = [replace(row(0, 0, 1, row_id=str(place)), outcomes=outcomes) for place in range(6)]
    found = recorded(rows, *(condition(mean_bits=mean) for mean in (4.0, 6.0, 5.0))).by_name
    for name in ("worst-4", "worst-5"):
        change = found[name].change
        assert change is not None
        assert change.p_value == 2 * 0.5**6
        assert change.p_holm == 2 * change.p_value
    assert found["worst-6"].change is None


def test_a_flip_repeats_where_every_repeat_is_one() -> None:
    repeats: list[list[int | None]] = [[1, 1], [1, 0], [2, 1], [None, 1]]
    rows = [row(0, 0, 1, row_id=str(place), repeats=one) for place, one in enumerate(repeats)]
    rows.append(row(0, 0, 0, row_id="stood", repeats=[1, 1]))
    found = figures(rows).repeated
    assert found is not None
    assert (found.k, found.n) == (2, 4)
    assert figures([row(0, 0, 1)]).repeated is None


def point(name: str, site: str, macs: int, quantized: bool = True) -> PointRow:
    why = "" if quantized else "left out"
    return PointRow(
        name=name, site=site, kind="k", shape=[1], macs=macs, quantized=quantized, reason=why
    )


def test_the_work_of_a_call_counts_once_however_many_points_it_has() -> None:
    points = [point("a", "a", 30), point("b:0", "b", 50), point("b:1", "b", 50)]
    points.append(point("c", "c", 20, quantized=False))
    subject = LIKE.subject.model_copy(update={"points": points, "uncovered": []})
    found = coverage(subject)
    assert (found.complete, found.quantized, found.left_out) == (True, 3, 1)
    assert found.macs_share == pytest.approx(80 / 100)
    missed = Uncovered(name="d", kind="rnn", reason="a loop")
    found = coverage(subject.model_copy(update={"uncovered": [missed]}))
    assert (found.complete, found.macs_share) == (False, None)
    nothing = with_subject(recorded([row(0, 0, 0)]), points=[], uncovered=[]).coverage
    assert (nothing.complete, nothing.quantized, nothing.macs_share) == (True, 0, None)


def test_what_folding_changed_is_a_share_of_all_examples() -> None:
    folding = Folding(names=["bn"], largest_difference=0.1, changed=[1])
    found = recorded([row(0, 0, 0), row(0, 0, 1)], folding=folding).figures.folding_changed
    assert found is not None
    assert (found.k, found.n) == (1, 2)
    assert recorded([row(0, 0, 0)]).figures.folding_changed is None


CLASSES = st.none() | st.integers(0, 3)


def table(draw: Callable[[st.SearchStrategy[Any]], Any]) -> list[ExampleRow]:
    """Up to nine examples under a worst case, on some of them, and a random policy.

    Not a strategy, for the checks of types draw random numbers of their own when rows are made.
    """
    labelled, several = draw(st.booleans()), draw(st.integers(1, 3))

    def outcome(**more: Any) -> Outcome:
        found = draw(CLASSES)
        margin = None if found is None else float(draw(st.integers(-3, 3)))
        failed_at = "somewhere" if found is None else None
        return Outcome(found, margin, failed_at, [4, 4], **more)

    def runs() -> list[int | None]:
        return [draw(CLASSES) for _ in range(several)]

    rows = []
    for place in range(draw(st.integers(1, 9))):
        outcomes = {"random-4": outcome(draws=runs())}
        if draw(st.booleans()):
            outcomes["worst-4"] = outcome(repeats=runs())
        label, before = draw(st.integers(0, 3)) if labelled else None, draw(CLASSES)
        margin = None if before is None else 1.0
        rows.append(ExampleRow(str(place), label, before, margin, outcomes))
    return rows


@given(st.data())
def test_every_figure_is_as_worked_out_by_other_means(data: st.DataObject) -> None:
    rows = table(data.draw)
    record = recorded(rows, condition("random"), condition())
    found = recompute.opened(json.loads(record_json(record)))
    expected = recompute.float_figures(found)
    assert {key: found["float"][key] for key in expected} == recompute.approximately(expected)
    assert found["at_risk"] == recompute.at_risk(found)
    changes = recompute.changes(found)
    for policy in found["policies"]:
        expected = recompute.policy_figures(found, policy["name"])
        assert {key: policy[key] for key in expected} == recompute.approximately(expected)
        change = changes[policy["name"]]
        assert (policy["change"] is None) == (change is None)
        for key, value in (change or {}).items():
            assert policy["change"][key] == recompute.approximately(value)
