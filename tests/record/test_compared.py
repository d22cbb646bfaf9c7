"""Two conditions side by side: which stand in a pair, and what float is held to."""

import numpy as np
import pytest

from bitcliff.record import Measured, Record, pairs_of, record_of
from bitcliff.record.problems import problems
from bitcliff.stats import rate
from bitcliff.types.settings import IN_FLOAT
from bitcliff.verdict import judge
from tests.a_record import with_conditions
from tests.questions.difference.differing import BATCH, IN_A, IN_B, A, B, bare_record


def against_float(record: Record, **outcomes: object) -> Record:
    """The runtime against float; with changed outcomes of each example by itself."""

    def changed(one: Measured) -> Measured:
        return one.model_copy(update={"outcomes": one.outcomes.model_copy(update=outcomes)})

    conditions = [
        changed(one) if one.name == IN_B.name else one for one in record.observed.conditions
    ]
    settings = record.settings.changed(compared=(IN_FLOAT, B))
    return record_of(
        record.observed.model_copy(update={"conditions": conditions, "settings": settings})
    )


def test_a_run_that_compares_nothing_has_no_pair() -> None:
    record = bare_record()
    settings = record.settings.changed(compared=())
    assert pairs_of(record_of(record.observed.model_copy(update={"settings": settings}))) == []


def test_each_by_itself_and_then_in_batches() -> None:
    pairs = pairs_of(bare_record())
    assert [(pair.a.condition, pair.b.condition) for pair in pairs] == [(IN_A, IN_B), (IN_A, BATCH)]
    alone = with_conditions(bare_record(), lambda one: one.name != BATCH.name)
    assert [pair.name for pair in pairs_of(alone)] == [f"{B} against {A}"]


def test_float_is_run_as_the_other_side_is() -> None:
    usual = pairs_of(against_float(bare_record()))[0]
    assert usual.decisions == rate(5, 7)
    assert usual.a.margin.tolist() == [1.0] * 7 + [-1.0]
    # In the runtime's batches float answers as the runtime does, but for one example.
    in_float = np.array([0, 1, 1, 0, 1, 0, 0, 0], dtype=np.int32)
    alike = pairs_of(against_float(bare_record(), in_float=in_float))[0]
    assert alike.decisions == rate(1, 7)
    assert np.isnan(alike.a.margin).tolist() == (in_float != [0] * 7 + [1]).tolist()


@pytest.mark.parametrize("gone", [IN_A, IN_B])
def test_what_was_not_measured_cannot_be_compared(gone: object) -> None:
    record = bare_record()
    assert not list(problems(record.observed))
    kept = [
        one
        for one in record.observed.conditions
        if (one.condition.numerics, one.condition.runtime)
        != (getattr(gone, "numerics", None), getattr(gone, "runtime", None))
    ]
    told = list(problems(record.observed.model_copy(update={"conditions": kept})))
    assert len(told) == 1
    assert "is to be compared, and was not measured on every example" in told[0]


@pytest.mark.parametrize(("limit", "status"), [(0.0, "inconclusive"), (100.0, "inconclusive")])
def test_a_numeric_failure_keeps_a_comparison_from_passing(limit: float, status: str) -> None:
    verdict = judge(bare_record(), limit)
    assert verdict.status == status
    first = verdict.judgements[0]
    assert (first.policy, first.status) == (f"{B} against {A}", "inconclusive")
    assert first.drop_pp == pytest.approx(100 / 7)


def test_the_verdict_is_of_what_is_lost_from_the_first_to_the_second() -> None:
    whole = with_conditions(bare_record(), lambda one: one.name != IN_B.name)
    verdict = judge(whole, 100.0)
    (judgement,) = verdict.judgements
    assert verdict.status == "pass"
    assert judgement.sentence.startswith(
        f"Passes: from {A} (1 of 2 points, the others in float) to {B}-batch, accuracy does not "
        "change (95 % interval −"
    )
    # Named, a condition is judged against float, as in every run.
    assert judge(whole, 100.0, A).judgements[0].policy == A
