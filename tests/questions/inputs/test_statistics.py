"""Who is at risk and what sets them apart, in runs where that is known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bitcliff.audit import Audit
from bitcliff.questions.at_risk import under
from bitcliff.questions.context import Context, Side, default_policies
from bitcliff.questions.features import MeasuredFeature
from bitcliff.questions.inputs.observe import observe_inputs
from bitcliff.questions.inputs.record import InputsAtRisk, ReferenceRun
from bitcliff.questions.inputs.statistics import KIND, figures, problems
from bitcliff.record import Outcome, Record, with_answer
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.questions.inputs.planted import (
    SETTINGS,
    answered,
    context_of,
    figures_of,
    observed_of,
    steady_run,
    with_outcomes,
    with_policy,
    with_rows,
)
from tests.small_networks import Overflowing

Run = tuple[Record, Side]
KINDS = {"inputs": KIND}


@pytest.fixture(scope="module")
def run() -> Run:
    return steady_run()


@pytest.fixture(scope="module")
def small() -> Record:
    """Two policies, and a reference that shares all examples but two."""
    record, side = steady_run(n=12)
    reference = with_rows(record, lambda i, row: None if i in (2, 5) else row)
    record = with_policy(with_policy(record, range(5)), range(3, 12, 2), "other")
    return answered(record, side, reference)


def _values(run: Run, key: str) -> list[float]:
    record, side = run
    if key == "class":
        return [float(row.label or 0) for row in record.examples]
    if key == "margin":
        return record.table.margin.tolist()  # type: ignore[no-any-return]
    observed = observe_inputs(context_of(record, side))
    return next(one.values.tolist() for one in observed.features if one.key == key)


def _telling(found: InputsAtRisk) -> set[str]:
    return {
        one.key
        for risk in found.policies
        for one in risk.comparisons
        if one.p_holm is not None and one.p_holm < 0.05
    }


def _found(record: Record, side: Side) -> InputsAtRisk:
    return figures_of(answered(record, side))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("key", ["class", "margin", "brightness", "distance"])
def test_finds_just_what_decides(key: str, seed: int) -> None:
    run = steady_run(seed=seed)
    hit = np.argsort(_values(run, key), kind="stable")[:25].tolist()
    found = _found(with_policy(run[0], hit), run[1])
    assert _telling(found) == {key}
    (one,) = (c for c in found.policies[0].comparisons if c.key == key)
    assert (one.n_risk, one.n_safe) == (25, 55)
    if key != "class":
        # Those at risk have less of it, every one of them.
        assert (one.effect, one.low) == (0.0, 0.0)
        assert one.median_risk is not None
        assert one.median_safe is not None
        assert one.median_risk < one.median_safe


def test_no_false_alarms_where_chance_decides(run: Run) -> None:
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(120):
        hit = rng.choice(80, 20, replace=False).tolist()
        alarms += bool(_telling(_found(with_policy(run[0], hit), run[1])))
    # 5 % of 120 and three standard errors.
    assert alarms <= 13


def test_adjusted_over_all_policies(run: Run) -> None:
    hit = np.argsort(_values(run, "margin"))[:25].tolist()
    one = _found(with_policy(run[0], hit), run[1])
    two = _found(with_policy(with_policy(run[0], hit), range(0, 80, 3), "other"), run[1])
    alone, beside = (
        next(c for c in found.policies[0].comparisons if c.key == "margin") for found in (one, two)
    )
    assert alone.p_value == beside.p_value
    assert alone.p_value is not None
    assert alone.p_holm == pytest.approx(6 * alone.p_value)
    assert beside.p_holm == pytest.approx(12 * alone.p_value)


@pytest.mark.parametrize(("hit", "k"), [((), 0), (range(80), 80)])
def test_no_one_and_everyone(run: Run, hit: tuple[int, ...], k: int) -> None:
    (risk,) = _found(with_policy(run[0], hit), run[1]).policies
    assert (risk.at_risk.k, risk.at_risk.n) == (k, 80)
    assert {one.p_value for one in risk.comparisons} == {None}
    assert {one.p_holm for one in risk.comparisons} == {None}
    assert len(risk.worst) == min(k, 12)


def test_counts_of_every_kind(run: Run) -> None:
    """Example by example: kept, lost, gained, wrong to otherwise wrong, wrong all along, failed."""
    kinds = ["kept", "lost", "gained", "other", "wrong", "failed", "failed in float", "lost"]
    rows, outcomes = [], []
    for place, row in enumerate(run[0].examples):
        kind, right = kinds[place % 8], row.label or 0
        wrong, third = (right + 1) % 4, (right + 2) % 4
        before = right if kind in ("kept", "lost", "failed") else wrong
        after = {"kept": right, "gained": right, "lost": wrong, "other": third, "wrong": wrong}
        failed = Outcome(prediction=None, margin=None, failed_at="x")
        in_float: tuple[int | None, float | None] = (before, 3.0)
        if kind == "failed in float":
            in_float = (None, None)
        outcomes.append(failed if kind == "failed" else Outcome(after.get(kind, right), 1.0))
        rows.append(replace(row, float_prediction=in_float[0], float_margin=in_float[1]))
    record = with_outcomes(with_rows(run[0], lambda i, _: rows[i]), outcomes)
    (risk,) = _found(record, run[1]).policies
    rates = (risk.at_risk, risk.flipped, risk.lost, risk.gained, risk.other_wrong)
    counts = [None if one is None else (one.k, one.n) for one in rates]
    assert counts == [(20, 30), (40, 60), (20, 60), (10, 60), (10, 60)]
    assert (risk.numeric_failures.k, risk.numeric_failures.n) == (20, 80)
    found = under(record.table, record.outcomes["planted"])
    assert found.risk.tolist() == [kinds[i % 8] == "lost" for i in range(80)]
    assert found.safe.tolist() == [kinds[i % 8] == "kept" for i in range(80)]
    # Margins fell from 3 to 1, all of them.
    assert risk.erosion is not None
    assert set(risk.erosion.model_dump().values()) == {2.0}
    assert (risk.eroded.k, risk.eroded.n) == (60, 60)


def test_outcomes_in_another_order_are_the_same(run: Run) -> None:
    record = answered(with_policy(run[0], range(0, 80, 3)), run[1])
    (measured,) = record.observed.conditions
    order = np.random.default_rng(0).permutation(80).astype(np.int32)
    moved = measured.outcomes.model_copy(
        update={
            "places": order,
            "prediction": measured.outcomes.prediction[order],
            "margin": measured.outcomes.margin[order],
        }
    )
    condition = measured.model_copy(update={"outcomes": moved})
    other = Record(record.observed.model_copy(update={"conditions": [condition]}), record.figures)
    assert figures(other, observed_of(record)) == figures_of(record)


def test_erosion_is_numpys_quantiles(run: Run) -> None:
    record = with_policy(run[0], range(0, 80, 2))
    (risk,) = _found(record, run[1]).policies
    lost = [
        (row.float_margin or 0) - (row.outcomes["planted"].margin or 0) for row in record.examples
    ]
    assert risk.erosion is not None
    found = list(risk.erosion.model_dump().values())
    assert found == pytest.approx(np.percentile(lost, [5, 25, 50, 75, 95]))
    deepest = sorted((i for i in range(0, 80, 2)), key=lambda i: -lost[i])[:12]
    assert risk.worst == [record.examples[i].id for i in deepest]


def test_classes_are_counted(run: Run) -> None:
    record = with_policy(run[0], range(0, 80, 3))
    (risk,) = _found(record, run[1]).policies
    for one in risk.classes:
        places = [i for i, row in enumerate(record.examples) if row.label == one.label]
        assert (one.at_risk.k, one.at_risk.n) == (sum(i % 3 == 0 for i in places), len(places))
    shares = [one.at_risk.value or 0 for one in risk.classes]
    assert shares == sorted(shares, reverse=True)


def test_without_labels_a_flip_is_the_risk() -> None:
    record, side = steady_run(labelled=False)
    found = _found(with_policy(record, range(30)), side)
    (risk,) = found.policies
    assert (risk.at_risk.k, risk.at_risk.n) == (30, 80)
    assert (risk.lost, risk.gained, risk.other_wrong) == (None, None, None)
    assert found.features[0].measured == "the prediction in float"
    counts = np.bincount(side.prepared.in_float.predictions.numpy(), minlength=4)
    assert {one.label: one.at_risk.n for one in risk.classes} == {
        label: n for label, n in enumerate(counts.tolist()) if n
    }


@pytest.mark.parametrize("labelled", [True, False])
def test_a_network_that_overflows(labelled: bool) -> None:
    """Some examples are infinite in float already: they have no distance, and are in no rate."""
    x = torch.rand(24, 3, generator=torch.Generator().manual_seed(3))
    x[:12, 0] = torch.linspace(0.9, 1.1, 12)
    batch = (x, x.argmax(1)) if labelled else x
    audit = Audit(Overflowing().eval(), [batch], settings=SETTINGS)
    record = audit.assess(command="made by the tests")
    names = default_policies(record)
    observed = observe_inputs(Context(record, names, Side("test", audit.prepared, {})))
    in_float = sum(row.float_prediction is None for row in record.examples)
    assert in_float == 6
    for risk in figures(record, observed).policies:
        assert risk.numeric_failures.k >= in_float
        assert risk.flipped.n == 24 - risk.numeric_failures.k
        for one in risk.comparisons:
            assert one.n_risk + one.n_safe <= risk.at_risk.n


def test_a_p_value_by_shuffling_is_taken_as_it_was_observed(small: Record) -> None:
    observed = observed_of(small)
    told = {name: {**kept, "class": 0.25} for name, kept in observed.resampled.items()}
    changed = observed.model_copy(update={"resampled": told})
    assert not list(problems(small, changed))
    record = with_answer(small, "inputs", changed, KIND)
    assert {risk.comparisons[0].p_value for risk in figures_of(record).policies} == {0.25}


def test_written_and_read(small: Record, tmp_path: Path) -> None:
    assert figures_of(small).reference is not None
    check_round_trip(small, KINDS, tmp_path)


def test_no_damage_goes_unnoticed(small: Record, tmp_path: Path) -> None:
    check_figures_are_guarded(small, "inputs", KINDS, tmp_path)
    check_observations_are_guarded(small, "inputs", KIND)


def _feature(values: list[float]) -> MeasuredFeature:
    return MeasuredFeature(key="length", measured="tokens", values=np.array(values))


def _reference(places: list[int], predictions: list[int]) -> ReferenceRun:
    where, found = (np.array(one, dtype=np.int32) for one in (places, predictions))
    return ReferenceRun(model="another", weights_sha256="", places=where, prediction=found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": [_feature([1.0] * 12)]}, "feature 'length' stands 2 times"),
        ({"features": [_feature([1.0])], "not_measured": []}, "length of 1 examples"),
        ({"features": [_feature([1e301] * 12)], "not_measured": []}, "too large"),
        ({"images": {"no-such": ""}}, "'no-such', which is no example's id"),
        ({"margin_scale": 9.0}, "above the median"),
        ({"reference": _reference([], [])}, "must be there, each once"),
        ({"reference": _reference([1, 1], [0, 0])}, "must be there, each once"),
        ({"reference": _reference([12], [0])}, "not among 12 examples"),
        ({"reference": _reference([1], [])}, "0 predictions for 1"),
        ({"reference": _reference([1], [4])}, "a class that is none of the 4"),
        ({"resampled": {"planted": {"class": 0.5}}}, "not about the explained policies"),
        ({"resampled": {"planted": {}, "other": {"class": 0.5}}}, "not of ['class']"),
        ({"resampled": {"planted": {"class": 0.5}, "other": {"class": 0.0}}}, "no shuffling gives"),
        (
            {"resampled": {"planted": {"class": 0.5, "margin": 0.5}, "other": {"class": 0.5}}},
            "not of ['class']",
        ),
    ],
)
def test_what_contradicts_itself_is_named(
    small: Record, changes: dict[str, Any], message: str
) -> None:
    assert not list(problems(small, observed_of(small)))
    found = list(problems(small, observed_of(small).model_copy(update=changes)))
    assert any(message in one for one in found), found


def test_an_answer_of_schema_1_is_left_out(small: Record) -> None:
    """It did not hold the features, on which nearly all figures rest."""
    assert KIND.older(small, {"margin_scale": 1.0, "traits": [], "policies": []}) is None
