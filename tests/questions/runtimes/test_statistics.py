"""The ablation's figures, and what is refused."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitcliff.questions import prediction_checks
from bitcliff.questions.runtimes.record import KEY, Runtimes, RuntimesObserved
from bitcliff.questions.runtimes.statistics import KIND, figures, problems
from bitcliff.record import record_of
from bitcliff.stats import rate
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.questions.runtimes.in_runtimes import (
    ALONE,
    BATCH,
    N,
    bare_record,
    elsewhere,
    observed,
    record_in_runtimes,
    rung,
    runtime,
)


def counts(found: Runtimes) -> dict[str, tuple[int | None, int, int, float | None]]:
    return {
        one.name: (
            None if one.changed is None else one.changed.k,
            one.from_float.k,
            one.from_runtime.k,
            one.margin_gap,
        )
        for one in found.runtimes[0].rungs
    }


def test_every_rung_is_compared_with_the_one_above_with_float_and_with_the_runtime() -> None:
    found = figures(bare_record(), observed())
    assert counts(found) == {
        "simulation": (None, 4, 4, 0.5),
        "weights": (1, 3, 3, 0.25),
        "runtime": (3, 0, 0, 0.0),
        "batch": (1, 1, 1, pytest.approx(0.1)),
    }
    assert found.runtimes[0].faster == 0.5


def test_the_runtime_is_compared_with_float_in_like_batches() -> None:
    """Float answers as the runtime does in batches, and otherwise than alone."""
    record = bare_record()
    conditions = [
        one.model_copy(
            update={
                "outcomes": one.outcomes.model_copy(
                    update={"in_float": 1 - one.outcomes.prediction}
                    if one.name == ALONE.name
                    else {"in_float": one.outcomes.prediction}
                )
            }
        )
        for one in record.observed.conditions
    ]
    record = record_of(record.observed.model_copy(update={"conditions": conditions}))
    (found,) = figures(record, observed()).runtimes
    rungs = {one.name: one.from_float for one in found.rungs}
    # What is simulated runs in float's usual batches.
    assert {name: one.k for name, one in rungs.items()} == {
        "simulation": 4,
        "weights": 3,
        "runtime": N,
        "batch": 0,
    }
    flips = {policy.name: policy.flips.all for policy in record.policies}
    assert [rungs["runtime"], rungs["batch"]] == [flips[ALONE.name], flips[BATCH.name]]


def test_a_numeric_failure_is_no_decision() -> None:
    first = rung("simulation", range(4), 1.5)
    prediction, margin = first.prediction.copy(), first.margin.copy()
    prediction[[0, 19]], margin[[0, 19]] = -1, np.nan
    broken = first.model_copy(update={"prediction": prediction, "margin": margin})
    (one,) = figures(bare_record(), observed(rungs=[broken])).runtimes
    assert (one.rungs[0].from_float.k, one.rungs[0].from_float.n) == (3, N - 2)
    changed = one.rungs[1].changed
    assert changed is not None
    assert (changed.k, changed.n) == (3, N - 2)


def test_what_other_processors_decide_is_compared_with_the_runtime_alone() -> None:
    """It fails numerically on one of them, which is no decision."""
    there = elsewhere({3, 7, 11})
    prediction, margin = there.prediction.copy(), there.margin.copy()
    prediction[[0, 7]], margin[[0, 7]] = -1, np.nan
    there = there.model_copy(update={"prediction": prediction, "margin": margin})
    found = figures(bare_record(), observed(other_processor=there)).runtimes[0].other_processor
    assert found is not None
    assert (found.changed.k, found.changed.n, found.examples) == (2, N - 2, ["3", "11"])
    assert found.right_here == rate(N, N)
    assert found.right_there == rate(N - 4, N)
    assert figures(bare_record(), observed()).runtimes[0].other_processor is None


def test_nothing_simulated_is_no_ablation_and_a_clock_that_saw_nothing_no_ratio() -> None:
    quick = runtime().speed.quantized.model_copy(update={"median": 0.0})
    speed = runtime().speed.model_copy(update={"quantized": quick})
    (one,) = figures(bare_record(), observed(rungs=[], speed=speed)).runtimes
    assert (one.rungs, one.faster) == ([], None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "other"}, "was measured in '<b>ort', which is not in the record's runtimes"),
        ({"version": "ort 2"}, "in another version than 'ort 2'"),
        ({"rungs": [rung("weights", [], 1.0)]}, "begins with weights"),
        ({"rungs": [rung("simulation", [], 1.0)] * 2}, "rung 'simulation' stands 2 times"),
        (
            {"other_processor": elsewhere((), checked=2, alike=3)},
            "has 3 of 2 examples alike, of 20",
        ),
        (
            {"other_processor": elsewhere((), checked=N + 1)},
            "has 0 of 21 examples alike, of 20",
        ),
        (
            {"other_processor": elsewhere((), prediction=np.zeros(3, np.int32))},
            "has 3 predictions for 20 examples",
        ),
    ],
)
def test_a_contradiction_is_told(changes: dict[str, Any], says: str) -> None:
    assert not list(problems(bare_record(), observed()))
    assert says in next(problems(bare_record(), observed(**changes)))


def test_a_runtime_that_was_not_measured_alone_is_told() -> None:
    record = bare_record()
    only_batch = [one for one in record.observed.conditions if one.name == BATCH.name]
    changed = record.observed.model_copy(update={"conditions": only_batch})
    assert "each example by itself" in next(problems(record_of(changed), observed()))


def test_other_processors_in_batches_are_held_against_batches_here() -> None:
    record = record_in_runtimes(
        other_processor=elsewhere({3}), other_in_batches=elsewhere({3, 7, 8})
    )
    figures = record.answer(KEY, Runtimes)
    assert figures is not None
    (found,) = figures.runtimes
    assert found.other_processor is not None
    assert found.other_in_batches is not None
    here = {one.name: record.outcomes[one.name].spread(N) for one in (ALONE, BATCH)}
    for there, flipped, name in (
        (found.other_processor, {3}, ALONE.name),
        (found.other_in_batches, {3, 7, 8}, BATCH.name),
    ):
        expected = sum((place in flipped) != here[name][place] for place in range(N))
        assert there.changed.k == expected


def test_it_is_read_as_it_was_written_and_no_figure_can_be_changed(tmp_path: Path) -> None:
    record = record_in_runtimes(other_processor=elsewhere({3}, checked=2, alike=2))
    check_round_trip(record, {KEY: KIND}, tmp_path)
    check_figures_are_guarded(record, KEY, {KEY: KIND}, tmp_path)


def test_damage_to_what_was_observed_is_refused_or_changes_no_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The same few intervals again and again.
    monkeypatch.setattr(prediction_checks, "rate", functools.cache(rate))
    record = record_in_runtimes(other_processor=elsewhere({3}, checked=2, alike=2))
    check_observations_are_guarded(record, KEY, KIND)


@pytest.mark.parametrize("ladder", [[], [{"name": "simulation", "margin_gap": 0.5}]])
def test_of_schema_1_x_all_but_the_ablation_is_kept(ladder: list[dict[str, Any]]) -> None:
    now = runtime().model_dump()
    old = {key: value for key, value in now.items() if key != "rungs"}
    fields = KIND.older(bare_record(), [{**old, "ladder": ladder}])
    (found,) = RuntimesObserved.model_validate(fields).runtimes
    assert found.speed == runtime().speed
    assert found.rungs == []
    assert found.left_out[0] == "folded: no trace"
    assert len(found.left_out) == (2 if ladder else 1)
    assert not list(problems(bare_record(), RuntimesObserved(runtimes=[found])))
