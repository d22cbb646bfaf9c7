"""The answer on disk: all of it comes back, and no damage to it goes unnoticed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bitcliff.questions.mitigations.record import Mitigations, MitigationsObserved, Tuned
from bitcliff.questions.mitigations.statistics import KIND, figures, older, problems
from bitcliff.record import Record, with_answer
from tests.a_record import figures_in
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.questions.mitigations.mitigated import SETTINGS, context_of, observed_cliff
from tests.small_networks import OnTheGrid

KINDS = {"mitigations": KIND}


@pytest.fixture(scope="module")
def record() -> Record:
    found, observed = observed_cliff()
    return with_answer(found, "mitigations", observed, KIND)


def test_an_answer_comes_back_whole(record: Record, tmp_path: Path) -> None:
    check_round_trip(record, KINDS, tmp_path)


def test_no_figure_can_be_changed(record: Record, tmp_path: Path) -> None:
    found = figures_in(record, "mitigations", Mitigations)
    assert found.plan is not None
    assert found.confirmed
    check_figures_are_guarded(record, "mitigations", KINDS, tmp_path)


@pytest.mark.parametrize("labelled", [True, False])
def test_no_observation_can_be_changed_unnoticed(labelled: bool) -> None:
    found, observed = observed_cliff(labelled)
    check_observations_are_guarded(
        with_answer(found, "mitigations", observed, KIND), "mitigations", KIND
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"float_points": ["<b>"]}, "'<b>' is no point's name"),
        ({"floors": {"middle": 11}}, "its floors are [11]"),
        ({"float_points": ["second", "middle", "last"]}, "no point is left to quantize"),
        ({"family": "percentile"}, "goes with a percentile, and with that alone"),
        ({"family": "none"}, "goes with a percentile, and with that alone"),
        ({"family": "fine-tuned"}, "no network was fine-tuned"),
        ({"scheme": "paper?"}, "its scheme is paper?"),
    ],
)
def test_what_contradicts_the_record_is_told(changes: dict[str, Any], problem: str) -> None:
    record, observed = observed_cliff()
    place = next(i for i, trial in enumerate(observed.trials) if trial.family == "float")
    trials = list(observed.trials)
    trials[place] = trials[place].model_copy(update=changes)
    found = list(problems(record, observed.model_copy(update={"trials": trials})))
    assert any(problem in one for one in found)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"mean_bits": 7.0}, "its worst case is at 7.0 bits, the run's at 8.0"),
        ({"predictions": np.zeros(23, np.int32)}, "its predictions are not 24 classes below 2"),
        ({"predictions": np.full(24, 2, np.int32)}, "its predictions are not 24 classes below 2"),
    ],
)
def test_a_worst_case_that_cannot_be_is_told(changes: dict[str, Any], problem: str) -> None:
    record, observed = observed_cliff()
    first, *others = observed.trials
    first = first.model_copy(update={"worst": first.worst.model_copy(update=changes)})
    (found,) = problems(record, observed.model_copy(update={"trials": [first, *others]}))
    assert problem in found
    more = observed.trials[0].model_copy(update={"further": [first.worst] * 2})
    found = next(problems(record, observed.model_copy(update={"trials": [more, *others]})))
    assert "its further budgets are" in found


@pytest.mark.parametrize("half", [[], [0] * 12, range(11), range(13, 25), range(-1, 11)])
def test_a_half_that_is_none_is_told(half: Any) -> None:
    record, observed = observed_cliff()
    changed = observed.model_copy(update={"half": np.array(half, dtype=np.int32)})
    (found,) = problems(record, changed)
    assert found == "half is not 12 places of 24 examples, each once"


def test_the_plan_of_a_tuned_network_names_it() -> None:
    record, observed = observed_cliff()
    everyone = record.table.labels
    assert everyone is not None
    first = observed.trials[0]
    worst = first.worst.model_copy(update={"predictions": everyone})
    tuned = first.model_copy(update={"family": "fine-tuned", "floors": {}, "worst": worst})
    changes = {"trials": [tuned], "tuned": Tuned(model="other", weights_sha256="abc")}
    found = figures(record, observed.model_copy(update=changes))
    assert found.plan is not None
    assert (found.plan.model, found.plan.weights_sha256) == ("other", "abc")
    assert found.tuned


def test_an_answer_of_schema_1_is_taken_up_where_nothing_was_tried() -> None:
    record, _ = observed_cliff()
    assert older(record, {"max_drop": 2.0, "not_measured": None, "remedies": []}) is None
    fields = older(record, {"max_drop": 2.0, "not_measured": "the worst case found loses nothing"})
    assert MitigationsObserved.model_validate(fields).trials == []


def test_where_nothing_is_lost_nothing_may_have_been_tried() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.stack([torch.randperm(4, generator=draw) for _ in range(12)]).float()
    settings = SETTINGS.changed(bits=(2, 4, 8), budgets=(4.0,))
    (problem,) = problems(context_of(OnTheGrid(), [x], settings).record, observed_cliff()[1])
    assert problem == "there is nothing to mend, but mitigations were tried"
