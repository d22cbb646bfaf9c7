"""The answer on disk: all of it comes back, and no damage to it goes unnoticed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitcliff.questions.layers.record import Layers, LayersObserved
from bitcliff.questions.layers.statistics import figures, older, problems
from bitcliff.record import Record
from tests.a_record import figures_in, observed_in
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.questions.layers.explained import KINDS, explained


@pytest.fixture(scope="module")
def record() -> Record:
    """Two of three points are named, on 12 test and 8 training examples."""
    found = explained((0, 2), n=12, train=8, points=3)
    layers = figures_in(found, "layers", Layers)
    assert [sweep.confirmation is not None for sweep in layers.sweeps] == [True, True]
    return found


def test_an_answer_comes_back_whole(record: Record, tmp_path: Path) -> None:
    check_round_trip(record, KINDS, tmp_path)


def test_no_figure_can_be_changed(record: Record, tmp_path: Path) -> None:
    check_figures_are_guarded(record, "layers", KINDS, tmp_path)


@pytest.mark.parametrize("labelled", [True, False])
def test_no_observation_can_be_changed_unnoticed(labelled: bool) -> None:
    found = explained((0, 2), n=12, train=8, points=3, labelled=labelled)
    check_observations_are_guarded(found, "layers", KINDS["layers"])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"policy": "random-3.5"}, "not of the explained policies in their order"),
        ({"split": "train"}, "not of the explained policies in their order"),
        ({"n": 11}, "of 11 examples, but there are 12"),
        ({"in_float": np.zeros(11, np.int32)}, "float is not 12 times a class below 4, or -1"),
        ({"targets": np.zeros(12, np.int32)}, "an example has another target"),
        ({"targets": np.full(12, -1, np.int32)}, "a target goes with a prediction in float"),
        ({"predictions": {}}, "predictions are not those of the curves of 3 points"),
        ({"calls": 10**9}, "more work than running each combination by itself"),
    ],
)
def test_what_contradicts_the_record_is_told(
    record: Record, changes: dict[str, Any], problem: str
) -> None:
    observed = observed_in(record, "layers", LayersObserved)
    assert list(problems(record, observed)) == []
    sweeps = [observed.sweeps[0].model_copy(update=changes), observed.sweeps[1]]
    found = list(problems(record, observed.model_copy(update={"sweeps": sweeps})))
    assert len(found) == 1
    assert problem in found[0]


def test_predictions_must_be_those_that_confirm_what_the_test_split_names() -> None:
    record = explained((0, 2), n=32, train=8, points=4)
    observed = observed_in(record, "layers", LayersObserved)
    test, train = observed.sweeps
    fewer = {key: one for key, one in train.predictions.items() if key != "1,3"}
    sweeps = [test, train.model_copy(update={"predictions": fewer})]
    (problem,) = problems(record, observed.model_copy(update={"sweeps": sweeps}))
    assert "of the inflection points of the test split" in problem


def test_an_answer_of_schema_1_is_taken_up() -> None:
    """One point of one, with a numeric failure in float."""
    record = explained((0,), n=4, points=1)
    observed_in(record, "layers", LayersObserved)
    sweep = {
        "policy": "uniform-3", "split": "test", "n": 4, "wanted": "3 x 0 1", "in_float": "3 x 0 2",
        "predictions": {"": "3 1 0 1", "1": "0 0 0 x"},
        "calls": 4, "naive_calls": 8, "macs": 0, "naive_macs": 0,
        "float_rate": {"k": 2, "n": 3}, "inflection": [],
    }  # fmt: skip
    fields = older(record, {"sweeps": [sweep]})
    (found,) = figures(record, LayersObserved.model_validate(fields)).sweeps
    assert (found.float_rate.k, found.float_rate.n) == (2, 3)
    assert (found.none.k, found.none.n) == (3, 3)
    assert (found.all.k, found.all.n) == (1, 2)
    assert (found.whole.n, found.whole.lost, found.whole.gained) == (2, 1, 0)
    assert (found.calls_share, found.macs_share) == (0.5, None)
