"""Transitory points of two networks, and runs that cannot be compared."""

from collections.abc import Callable

import pytest

from bitcliff.errors import InputError
from bitcliff.questions.inputs.observe import explain_inputs
from bitcliff.questions.inputs.reference_run import check_twin, transitory_points
from bitcliff.records import ExampleRow, Record
from tests.questions.inputs.planted import context_of, steady_run, with_policy


def _with_rows(record: Record, change: Callable[[int, ExampleRow], ExampleRow | None]) -> Record:
    rows = [new for i, row in enumerate(record.examples) if (new := change(i, row)) is not None]
    return record.model_copy(update={"examples": rows})


def test_both_denominators() -> None:
    record, side = steady_run(n=40)
    brittle = with_policy(record, range(10))

    def robust(i: int, row: ExampleRow) -> ExampleRow | None:
        if i < 4:  # wrong in float: no transitory point, though it is lost
            return row.model_copy(update={"float_prediction": ((row.label or 0) + 1) % 4})
        if i < 6:
            return None  # not in the twin's run
        return row.model_copy(update={"float_prediction": None}) if i == 6 else row

    twin = _with_rows(record, robust)
    # In common and answered: 40 less 2 less 1. Right in both: less 4. Lost of these: 7, 8, 9.
    of_both, of_all = transitory_points(brittle, twin, "planted")
    assert [(of_both.k, of_both.n), (of_all.k, of_all.n)] == [(3, 33), (3, 37)]
    found = explain_inputs(context_of(brittle, side, twin))
    assert found.twin is not None
    assert found.twin.n_common == 38
    assert (found.policies[0].transitory, found.policies[0].transitory_of_all) == (of_both, of_all)
    assert (found.policies[0].at_risk.k, found.policies[0].at_risk.n) == (10, 40)


def test_runs_that_cannot_be_compared() -> None:
    record, _ = steady_run(n=8)
    unlabelled, _ = steady_run(n=8, labelled=False)
    with pytest.raises(InputError, match="both runs need labels"):
        check_twin(record, unlabelled)
    others = _with_rows(record, lambda _i, row: row.model_copy(update={"id": row.id + "x"}))
    with pytest.raises(InputError, match="give a run on the same data"):
        check_twin(record, others)
    relabelled = _with_rows(record, lambda _i, row: row.model_copy(update={"label": 99}))
    with pytest.raises(InputError, match="labels 'p000' otherwise"):
        check_twin(record, relabelled)
