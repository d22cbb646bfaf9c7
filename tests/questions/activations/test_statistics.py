"""Figures of planted numbers by hand; what is stored, damaged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitcliff.questions.activations.record import (
    COLUMNS,
    ActivationsObserved,
    Histogram,
    PointObserved,
    PolicyObserved,
)
from bitcliff.questions.activations.statistics import KIND, figures, problems
from bitcliff.record import Condition, ExampleRow, Outcome, Record
from bitcliff.record.record import with_answer
from bitcliff.record.schema import Explained
from tests.a_record import record_of_rows
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.report.example_record import example_record

HARMLESS = {
    "bits": 5.0,
    "local_db": 30.0,
    "arriving_db": 31.0,
    "earlier_db": np.nan,
    "total_db": 27.0,
    "collapsed": 0.0,
    "kurtosis": 0.5,
    "peak": 1.5,
    "offset": 0.0,
    "constant_db": 0.0,
    "channels_lost": 0.0,
    "channel_ratio": 2.0,
    "tokens_lost": 0.0,
    "token_ratio": 2.0,
}
OUTLIER = HARMLESS | {"bits": 3.0, "local_db": 5.0, "total_db": 4.0, "peak": 40.0}


def point(name: str, *examples: dict[str, float]) -> PointObserved:
    rows = [[one[key] for one in examples] for key in COLUMNS]
    values = bool(examples)
    return PointObserved(
        name=name,
        bin_width=0.5,
        first_bin=-1,
        before=Histogram(counts=[1 * values, 5 * values, 2 * values], exactly_zero=3 * values),
        after=Histogram(counts=[0, 6 * values, 2 * values], exactly_zero=6 * values),
        columns=np.array(rows, dtype=np.float32).reshape(len(COLUMNS), len(examples)),
    )


def names_of(record: Record) -> list[str]:
    return [one.name for one in record.subject.points if one.quantized]


@pytest.fixture(scope="module")
def asked() -> Record:
    """Three examples and two points; two policies are explained."""
    like = example_record().observed
    points = [one for one in like.subject.points if one.quantized][:2]
    conditions = [
        Condition(kind="uniform", description="", width=bits, mean_bits=bits, total_bits=2 * bits)
        for bits in (3, 5)
    ]
    outcomes = {
        one.name: Outcome(prediction=1, margin=1.0, bits=[one.width or 0] * 2) for one in conditions
    }
    rows = [
        ExampleRow(id=name, label=1, float_prediction=1, float_margin=1.0, outcomes=outcomes)
        for name in "abc"
    ]
    return record_of_rows(
        like,
        rows,
        conditions,
        subject=like.subject.model_copy(update={"points": points}),
        explained=Explained(policies=["uniform-3", "uniform-5"], n_train=0),
    )


@pytest.fixture(scope="module")
def observed(asked: Record) -> ActivationsObserved:
    first, second = names_of(asked)
    points = [point(first, HARMLESS, OUTLIER, OUTLIER), point(second)]
    assert asked.explained is not None
    return ActivationsObserved(
        policies=[PolicyObserved(policy=name, points=points) for name in asked.explained.policies]
    )


def test_the_figures_are_those_by_hand(asked: Record, observed: ActivationsObserved) -> None:
    found = figures(asked, observed).policies[1].points[0]
    assert (found.n, found.sparsity_before, found.sparsity_after) == (3, 5 / 8, 6 / 8)
    assert (found.cause, found.causes) == ("outlier", {"unharmed": 1, "outlier": 2})
    assert (found.harmed.k, found.harmed.n) == (2, 3)
    assert (found.median.bits, found.worst.bits, found.typical.bits) == (3, 3, 3)
    assert (found.median.local_db, found.worst.local_db, found.typical.total_db) == (5, 5, 4)
    assert found.median.earlier_db is None
    assert (found.median.peak, found.typical.peak) == (40, 40)
    assert found.worst.kurtosis == 0.5


def test_a_median_of_two_is_their_mean(asked: Record) -> None:
    one = point("x", HARMLESS, HARMLESS | {"kurtosis": 0.1})
    policy = PolicyObserved(policy="p", points=[one])
    found = figures(asked, ActivationsObserved(policies=[policy])).policies[0].points[0]
    assert found.median.kurtosis == pytest.approx(0.3, rel=1e-7)
    assert found.worst.kurtosis == 0.5


def test_a_peak_without_bound_is_none(asked: Record) -> None:
    one = point("x", OUTLIER | {"peak": np.inf}, OUTLIER | {"peak": np.inf}, HARMLESS)
    policy = PolicyObserved(policy="p", points=[one])
    found = figures(asked, ActivationsObserved(policies=[policy])).policies[0].points[0]
    assert (found.cause, found.median.peak, found.worst.peak) == ("outlier", None, None)


def test_without_examples_there_is_nothing(asked: Record, observed: ActivationsObserved) -> None:
    found = figures(asked, observed).policies[0].points[1]
    assert (found.n, found.cause, found.causes, found.sparsity_after) == (0, None, {}, None)
    assert set(found.worst.model_dump().values()) == {None}


def test_it_is_read_as_it_was_written(
    asked: Record, observed: ActivationsObserved, tmp_path: Path
) -> None:
    answered = with_answer(asked, "activations", observed, KIND)
    check_round_trip(answered, {"activations": KIND}, tmp_path)
    check_figures_are_guarded(answered, "activations", {"activations": KIND}, tmp_path)
    check_observations_are_guarded(answered, "activations", KIND)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "no such"}, "not of the quantized points"),
        ({"first_bin": 1}, "the bin about zero is -1 of 3"),
        ({"first_bin": -3}, "the bin about zero is 3 of 3"),
        ({"after": Histogram(counts=[1, 5, 9], exactly_zero=1)}, "8 values before, 15 after"),
        ({"before": Histogram(counts=[1, 5, 2], exactly_zero=6)}, "more values are zero than"),
        ({"columns": np.zeros((10, 0), np.float32)}, "values go with numbers"),
        ({"columns": np.zeros((9, 1), np.float32)}, "numbers of shape"),
        ({"columns": np.zeros((14, 4), np.float32)}, "numbers of shape"),
        ({"columns": np.full((10, 1), 2, np.float32)}, "collapsed beyond 0 to 1"),
        ({"columns": np.full((10, 1), -np.inf, np.float32)}, "bits beyond 0 to 64"),
    ],
)
def test_what_contradicts_itself_is_told(
    asked: Record, observed: ActivationsObserved, changes: dict[str, Any], problem: str
) -> None:
    first, *rest = observed.policies[0].points
    changed = observed.policies[0].model_copy(
        update={"points": [first.model_copy(update=changes), *rest]}
    )
    both = observed.model_copy(update={"policies": [changed, observed.policies[1]]})
    assert list(problems(asked, observed)) == []
    assert problem in " ".join(problems(asked, both))


def test_it_is_of_the_explained_policies(asked: Record, observed: ActivationsObserved) -> None:
    unasked = replace(asked, observed=asked.observed.model_copy(update={"explained": None}))
    assert "not of the explained policies" in " ".join(problems(unasked, observed))
    turned = observed.model_copy(update={"policies": observed.policies[::-1]})
    assert "not of the explained policies" in " ".join(problems(asked, turned))


def test_an_answer_of_schema_1_holds_no_examples_and_is_left_out(asked: Record) -> None:
    assert KIND.older(asked, {"policies": [{"policy": "uniform-3", "points": []}]}) is None
