"""Transitory points of two networks, and runs that cannot be compared."""

from dataclasses import replace

import pytest

from bitcliff.errors import InputError
from bitcliff.questions.inputs.reference_run import reference_run
from bitcliff.record import ExampleRow
from tests.questions.inputs.planted import (
    answered,
    figures_of,
    observed_of,
    steady_run,
    with_policy,
    with_rows,
)


def test_both_denominators() -> None:
    record, side = steady_run(n=40)
    brittle = with_policy(record, range(10))

    def robust(i: int, row: ExampleRow) -> ExampleRow | None:
        if i < 4:  # wrong in float: no transitory point, though it is lost
            return replace(row, float_prediction=((row.label or 0) + 1) % 4)
        if i < 6:
            return None  # not in the reference's run
        return replace(row, float_prediction=None) if i == 6 else row

    # In common and predicted: 40 less 2 less 1. Right in both: less 4. Lost of these: 7, 8, 9.
    found = answered(brittle, side, with_rows(record, robust))
    (risk,) = figures_of(found).policies
    both, of_all = risk.transitory, risk.transitory_of_all
    assert both is not None
    assert of_all is not None
    assert [(both.k, both.n), (of_all.k, of_all.n)] == [(3, 33), (3, 37)]
    assert (risk.at_risk.k, risk.at_risk.n) == (10, 40)
    reference = figures_of(found).reference
    assert reference is not None
    assert reference.n_common == 38
    kept = observed_of(found).reference
    assert kept is not None
    assert kept.places.tolist() == [*range(4), *range(6, 40)]
    assert kept.prediction[:6].tolist() == [
        *((record.table.targets[:4] + 1) % 4), -1, record.table.targets[7]
    ]  # fmt: skip


def test_runs_that_cannot_be_compared() -> None:
    record, _ = steady_run(n=8)
    unlabelled, _ = steady_run(n=8, labelled=False)
    with pytest.raises(InputError, match="both runs need labels"):
        reference_run(record, unlabelled)
    others = with_rows(record, lambda _i, row: replace(row, id=row.id + "x"))
    with pytest.raises(InputError, match="give a run on the same data"):
        reference_run(record, others)
    relabelled = with_rows(record, lambda _i, row: replace(row, label=99))
    with pytest.raises(InputError, match="labels 'p000' otherwise"):
        reference_run(record, relabelled)
