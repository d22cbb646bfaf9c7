"""Corners that an assessment seldom reaches; all else is in tests/contract."""

import pytest
from bitcliff.assess.figures import (
    at_risk,
    float_figures,
    median_draw,
    policy_figures,
    right_answers,
    with_holm,
)

from bitcliff.assess.measured import Measured
from bitcliff.records import ExampleRow, Outcome, PolicyResult
from bitcliff.records.schema import Threat
from tests.a_measured import a_measured

NAME = "worst-4"


def measured(name: str = NAME, threat: Threat = "policy-only") -> Measured:
    return a_measured(name=name, threat=threat)


def row(
    label: int | None,
    in_float: int | None,
    rounded: int | None,
    margin: float = -1.0,
    name: str = NAME,
    row_id: str = "",
    draws: list[int | None] | None = None,
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
            )
        },
    )


def figures(rows: list[ExampleRow]) -> PolicyResult:
    return policy_figures(rows, measured())


def test_numeric_failures_enter_no_rate_but_their_own() -> None:
    rows = [row(0, 0, 0), row(1, 1, None), row(1, None, 1), row(0, 0, 1), row(1, 0, 1)]
    found = figures(rows)
    assert (found.accuracy.k, found.accuracy.n) == (2, 3) if found.accuracy else False
    assert (found.agreement.k, found.agreement.n) == (1, 3)
    assert (found.numeric_failures.k, found.numeric_failures.n) == (1, 5)
    assert found.flips.lost is not None
    assert found.flips.gained is not None
    assert (found.flips.all.k, found.flips.lost.k, found.flips.gained.k) == (2, 1, 1)
    assert found.delta_pp == 0.0
    assert found.p_value == 1.0
    in_float = float_figures(rows)
    assert in_float.accuracy is not None
    assert (in_float.accuracy.k, in_float.accuracy.n) == (3, 4)
    assert (in_float.numeric_failures.k, in_float.numeric_failures.n) == (1, 5)


@pytest.mark.parametrize("label", [0, None])
def test_where_nothing_was_answered_nothing_is_claimed(label: int | None) -> None:
    found = figures([row(label, 0, None), row(label, 0, None)])
    assert found.agreement.value is None
    assert (found.delta_pp, found.delta_pp_interval, found.p_value) == (None, None, None)
    assert found.flips.upper_95 is None
    assert (found.accuracy is None) == (label is None)
    assert found.worst_class is None
    assert with_holm([found])[0].p_value_holm is None


def test_an_example_that_fails_in_float_is_not_at_risk() -> None:
    rows = [row(0, None, 1), row(0, 0, 1), row(0, 0, 0), row(0, 0, None)]
    assert at_risk(rows, [figures(rows)]) == ["0-0-1"]


def test_at_risk_is_ordered_by_the_worst_margin_of_any_adversary() -> None:
    def of(name: str, row_id: str, margin: float, flips: bool = True) -> ExampleRow:
        return row(0, 0, 1 if flips else 0, margin, name, row_id)

    def merged(*parts: ExampleRow) -> ExampleRow:
        outcomes = {name: out for part in parts for name, out in part.outcomes.items()}
        return parts[0].model_copy(update={"outcomes": outcomes})

    rows = [
        merged(of("worst-4", "a", -1.0), of("worst-evolutionary-4", "a", -5.0)),
        merged(of("worst-4", "b", -3.0), of("friendliest-4", "b", -9.0)),
        of("worst-4", "c", 0.5, flips=False),
        of("friendliest-4", "d", -9.0),
        of("worst-4", "f", -1.0),
        of("worst-4", "e", -1.0),
    ]
    adversaries = [
        policy_figures(rows, measured(name)) for name in ("worst-4", "worst-evolutionary-4")
    ]
    friend = policy_figures(rows, measured("friendliest-4", threat="none"))
    assert at_risk(rows, [*adversaries, friend]) == ["a", "b", "e", "f"]


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
    draws: list[list[int | None]] = [[0, 1, None], [0, 1, 2], [None, None, None], [0, 0, 0]]
    # right answers: 2, 3, 0, 1
    assert median_draw(draws, [0, 1, 2]) == 3
    assert right_answers([row(None, 1, 0), row(2, 1, 0), row(None, None, 0)]) == [1, 2, None]


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
    tested = figures([row(0, 0, 1, row_id=str(place)) for place in range(6)])
    untested = figures([row(None, 0, 0)]).model_copy(update={"name": "worst-6"})
    found = with_holm([tested, untested, tested.model_copy(update={"name": "worst-5"})])
    assert found[0].p_value == 2 * 0.5**6
    assert found[0].p_value_holm == 2 * found[0].p_value
    assert found[1].p_value_holm is None
