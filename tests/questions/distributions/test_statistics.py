"""Slices, curves and shifts of outcomes that are made up, and damage to them."""

from pathlib import Path

import numpy as np
import pytest

from bitcliff.questions.distributions.record import (
    KEY,
    Described,
    Distributions,
    DistributionsObserved,
    SecondSet,
    UnderPolicy,
)
from bitcliff.questions.distributions.statistics import KIND, figures, problems
from bitcliff.questions.features import MeasuredFeature, NotMeasured
from bitcliff.questions.halves import half_size
from bitcliff.record import Record, record_of, with_answer
from bitcliff.record.outcomes import Outcomes, Table
from bitcliff.stats import paired_change, rate, reweighted
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.questions.inputs.planted import CLASSES, PLANTED, steady_run, with_policy

NONE = NotMeasured(key="length", reason="there is no text")


def described(rng: np.random.Generator, n: int) -> Described:
    """Two features that hang together, and clusters."""
    bright = rng.random(n)
    contrast = (bright + rng.random(n)) / 2
    return Described(
        features=[
            MeasuredFeature(key="brightness", measured="here", values=bright),
            MeasuredFeature(key="contrast", measured="here", values=contrast),
        ],
        not_measured=[NONE],
        cluster=rng.integers(-1, 3, n).astype(np.int32),
    )


def observed(n: int, seed: int = 0, second: SecondSet | None = None) -> DistributionsObserved:
    rng = np.random.default_rng(seed)
    half = np.sort(rng.permutation(n)[: half_size(n)]).astype(np.int32)
    return DistributionsObserved(
        policies=[PLANTED],
        half=half,
        clusters="three clusters",
        described=described(rng, n),
        second=second,
    )


def second_set(n: int, seed: int, labelled: bool = True) -> SecondSet:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n).astype(np.int32)
    right = rng.random(n) < 0.9
    prediction = np.where(right, labels, (labels + 1) % CLASSES).astype(np.int32)
    now = np.where(rng.random(n) < 0.3, (prediction + 1) % CLASSES, prediction).astype(np.int32)
    table = Table(
        ids=[f"s{place}" for place in range(n)],
        labels=labels if labelled else None,
        prediction=prediction,
        margin=np.where(right, 1.0, -1.0),
    )
    return SecondSet(
        data="elsewhere",
        sha256="1" * 64,
        table=table,
        outcomes={PLANTED: Outcomes(prediction=now, margin=np.ones(n))},
        described=described(rng, n),
    )


def brightest(found: DistributionsObserved, count: int) -> list[int]:
    return np.argsort(-found.described.features[0].values)[:count].tolist()  # type: ignore[no-any-return]


def row_of(record: Record, found: DistributionsObserved) -> UnderPolicy:
    assert not [*problems(record, found)]
    (row,) = figures(record, found).policies
    return row


@pytest.fixture(scope="module")
def bare() -> Record:
    return steady_run()[0]


@pytest.fixture(scope="module")
def answered() -> Record:
    """Few examples, and so no slices; a second set."""
    record = with_policy(steady_run(n=22)[0], range(0, 22, 3))
    return with_answer(record, KEY, observed(22, second=second_set(6, 3)), KIND)


def test_each_count_of_a_slice_is_of_its_half(bare: Record) -> None:
    found = observed(80)
    record = with_policy(bare, brightest(found, 25))
    row = row_of(record, found)
    assert row.slice is not None
    (condition,) = row.slice.conditions
    assert (condition.key, condition.at) == ("brightness", "least")
    bright = found.described.features[0].values
    half = np.isin(np.arange(80), found.half)
    inside, hit = bright >= condition.value, np.isin(np.arange(80), brightest(found, 25))
    # All are right in float.
    for shown, among in (
        (row.slice.chosen, inside & half),
        (row.slice.inside, inside & ~half),
        (row.slice.outside, ~inside & ~half),
    ):
        assert (shown.k, shown.n) == (int((hit & among).sum()), int(among.sum()))
    assert row.slice.change == paired_change(row.slice.inside.n, row.slice.inside.k, 0)
    assert row.slice.p_holm is not None
    assert row.slice.p_holm == pytest.approx(min(1, 2 * row.slice.p_value))


def test_the_worst_class_is_a_group_of_its_own(bare: Record) -> None:
    hit = np.flatnonzero(bare.table.targets == 2).tolist()
    row = row_of(with_policy(bare, hit), observed(80))
    assert row.group is not None
    assert row.slice is not None
    assert row.group.conditions == row.slice.conditions
    assert [(one.key, one.value) for one in row.group.conditions] == [("class", 2.0)]
    assert row.group.inside.value == 1.0


def test_outcomes_dealt_anew_show_no_slice(bare: Record) -> None:
    """The chance of a slice that is none, in any test of an answer; `LOG.md` has more draws."""
    rng, shown = np.random.default_rng(0), 0
    for seed in range(60):
        record = with_policy(bare, rng.permutation(80)[:20].tolist())
        row = row_of(record, observed(80, seed))
        ps = [one.p_holm or 0 for one in (row.group, row.slice) if one is not None]
        shown += min(ps, default=1.0) < 0.05
    assert rate(shown, 60).low <= 0.05  # type: ignore[operator]


def test_curves_are_of_right_predictions_lost_less_gained(bare: Record) -> None:
    found = observed(80, second=second_set(40, 1))
    row = row_of(with_policy(bare, range(8)), found)
    drops = np.repeat([1.0, 0.0], [8, 72])
    assert row.curve == reweighted(drops, (-1.0, 0.0, 1.0))
    assert row.shift is not None
    assert found.second is not None
    table, now = found.second.table, found.second.outcomes[PLANTED].prediction
    before, after = table.prediction == table.labels, now == table.labels
    changes = before.astype(float) - after
    assert row.shift.curve == reweighted(np.sort(changes)[::-1], (-1.0, 0.0, 1.0))
    assert row.shift.difference is not None
    more = 100 * (changes.mean() - 0.1)
    assert row.shift.difference.difference_pp == pytest.approx(more)


def test_numeric_failures_count_nowhere_but_apart(bare: Record) -> None:
    record = with_policy(bare, range(10))
    (measured,) = record.observed.conditions
    failed = measured.outcomes.prediction.copy()
    failed[:4] = -1
    margin = np.where(failed < 0, np.nan, measured.outcomes.margin)
    outcomes = measured.outcomes.model_copy(
        update={
            "prediction": failed,
            "margin": margin,
            "failed_at": dict.fromkeys(range(4), "x"),
        }
    )
    again = record_of(
        record.observed.model_copy(
            update={"conditions": [measured.model_copy(update={"outcomes": outcomes})]}
        )
    )
    row = row_of(again, observed(80))
    assert (row.failed, row.change.n, row.change.lost) == (4, 76, 6)


def test_too_few_examples_have_a_curve_and_no_slice() -> None:
    record = with_policy(steady_run(n=12)[0], range(4))
    found = observed(12)
    whole = figures(record, found)
    assert not whole.looked_for
    assert whole.policies[0].slice is None
    assert whole.policies[0].group is None
    assert len(whole.policies[0].curve) == 10


def test_it_is_written_and_read_again(answered: Record, tmp_path: Path) -> None:
    check_round_trip(answered, {KEY: KIND}, tmp_path)
    assert answered.answer(KEY, Distributions) is not None


def test_every_figure_is_guarded(answered: Record, tmp_path: Path) -> None:
    check_figures_are_guarded(answered, KEY, {KEY: KIND}, tmp_path)


def test_observations_that_do_not_fit_are_refused(answered: Record) -> None:
    check_observations_are_guarded(answered, KEY, KIND)
