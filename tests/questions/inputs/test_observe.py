"""Who is at risk and what sets them apart, in runs where that is known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bitcliff.assess import Audit
from bitcliff.questions.context import Context, Side, default_policies
from bitcliff.questions.inputs.input_features import features_of, traits
from bitcliff.questions.inputs.observe import explain_inputs, groups_of
from bitcliff.questions.inputs.record import InputsAtRisk
from bitcliff.records import Outcome, Record
from tests.questions.inputs.planted import (
    SETTINGS,
    context_of,
    recounted,
    steady_run,
    with_policy,
)
from tests.small_networks import Overflowing

Run = tuple[Record, Side]


@pytest.fixture(scope="module")
def run() -> Run:
    return steady_run()


def _values(run: Run, key: str) -> list[float]:
    record, side = run
    if key == "class":
        return [float(row.label or 0) for row in record.examples]
    measured, _ = traits(context_of(record, side))
    return next(one.values.tolist() for one in measured if one.trait.key == key)


def _telling(found: InputsAtRisk) -> set[str]:
    return {
        one.key
        for risk in found.policies
        for one in risk.comparisons
        if one.p_value_holm is not None and one.p_value_holm < 0.05
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("key", ["class", "margin", "brightness", "distance"])
def test_finds_just_what_decides(key: str, seed: int) -> None:
    run = steady_run(seed=seed)
    hit = np.argsort(_values(run, key), kind="stable")[:25].tolist()
    found = explain_inputs(context_of(with_policy(run[0], hit), run[1]))
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
        alarms += bool(_telling(explain_inputs(context_of(with_policy(run[0], hit), run[1]))))
    # 5 % of 120 and three standard errors.
    assert alarms <= 13


def test_adjusted_over_all_policies(run: Run) -> None:
    hit = np.argsort(_values(run, "margin"))[:25].tolist()
    one = explain_inputs(context_of(with_policy(run[0], hit), run[1]))
    both = with_policy(with_policy(run[0], hit), range(0, 80, 3), "other")
    two = explain_inputs(context_of(both, run[1]))
    alone, beside = (
        next(c for c in found.policies[0].comparisons if c.key == "margin") for found in (one, two)
    )
    assert alone.p_value == beside.p_value
    assert alone.p_value is not None
    assert alone.p_value_holm == pytest.approx(6 * alone.p_value)
    assert beside.p_value_holm == pytest.approx(12 * alone.p_value)


@pytest.mark.parametrize(("hit", "k"), [((), 0), (range(80), 80)])
def test_no_one_and_everyone(run: Run, hit: tuple[int, ...], k: int) -> None:
    (risk,) = explain_inputs(context_of(with_policy(run[0], hit), run[1])).policies
    assert (risk.at_risk.k, risk.at_risk.n) == (k, 80)
    assert {one.p_value for one in risk.comparisons} == {None}
    assert {one.p_value_holm for one in risk.comparisons} == {None}
    assert len(risk.worst) == min(k, 12)


def _changed(record: Record, change: Callable[[int], dict[str, object]]) -> Record:
    rows = [row.model_copy(update=change(i)) for i, row in enumerate(record.examples)]
    bare = record.model_copy(update={"policies": []})
    return recounted(bare, rows, "planted")


def test_counts_of_every_kind(run: Run) -> None:
    """Example by example: kept, lost, gained, wrong to otherwise wrong, wrong all along, failed."""
    record = with_policy(run[0], ())
    labels = [row.label or 0 for row in record.examples]
    kinds = ["kept", "lost", "gained", "other", "wrong", "failed", "failed in float", "lost"]

    def change(i: int) -> dict[str, object]:
        kind, right, wrong, third = (
            kinds[i % 8],
            labels[i],
            (labels[i] + 1) % 4,
            (labels[i] + 2) % 4,
        )
        before = right if kind in ("kept", "lost", "failed") else wrong
        after = {"kept": right, "gained": right, "lost": wrong, "other": third, "wrong": wrong}
        outcome = Outcome(prediction=after.get(kind, right), margin=1.0)
        if kind == "failed":
            outcome = Outcome(prediction=None, margin=None, failed_at="x")
        if kind == "failed in float":
            return {
                "float_prediction": None, "float_margin": None, "outcomes": {"planted": outcome}
            }  # fmt: skip
        return {"float_prediction": before, "float_margin": 3.0, "outcomes": {"planted": outcome}}

    record = _changed(record, change)
    found = explain_inputs(context_of(record, run[1]))
    (risk,) = found.policies
    rates = (risk.at_risk, risk.flipped, risk.lost, risk.gained, risk.other_wrong)
    counts = [None if one is None else (one.k, one.n) for one in rates]
    assert counts == [(20, 30), (40, 60), (20, 60), (10, 60), (10, 60)]
    assert (risk.numeric_failures.k, risk.numeric_failures.n) == (20, 80)
    assert groups_of(record.examples, "planted", labelled=True) == (
        [i for i in range(80) if kinds[i % 8] == "lost"],
        [i for i in range(80) if kinds[i % 8] == "kept"],
    )
    # Margins fell from 3 to 1, all of them.
    assert risk.erosion is not None
    assert set(risk.erosion.model_dump().values()) == {2.0}
    assert (risk.eroded.k, risk.eroded.n) == (60, 60)


def test_erosion_is_numpys_quantiles(run: Run) -> None:
    record = with_policy(run[0], range(0, 80, 2))
    (risk,) = explain_inputs(context_of(record, run[1])).policies
    lost = [
        (row.float_margin or 0) - (row.outcomes["planted"].margin or 0) for row in record.examples
    ]
    assert risk.erosion is not None
    found = list(risk.erosion.model_dump().values())
    assert found == pytest.approx(np.percentile(lost, [5, 25, 50, 75, 95]))
    deepest = sorted((i for i in range(0, 80, 2)), key=lambda i: -lost[i])[:12]
    assert risk.worst == [record.examples[i].id for i in deepest]


def test_pictures_only_where_the_record_has_none(run: Run) -> None:
    record = with_policy(run[0], range(20))
    rows = list(record.examples)
    rows[:10] = [r.model_copy(update={"thumbnail": "data:image/png;base64,AA"}) for r in rows[:10]]
    found = explain_inputs(context_of(record.model_copy(update={"examples": rows}), run[1]))
    shown = set(found.policies[0].worst)
    own = {row.id for row in rows[:10]}
    assert shown & own
    assert set(found.pictures) == shown - own
    assert all(found.pictures[name].endswith(f"0{name[1:]}") for name in found.pictures)


def test_classes_are_counted(run: Run) -> None:
    record = with_policy(run[0], range(0, 80, 3))
    (risk,) = explain_inputs(context_of(record, run[1])).policies
    for one in risk.classes:
        places = [i for i, row in enumerate(record.examples) if row.label == one.label]
        assert (one.at_risk.k, one.at_risk.n) == (sum(i % 3 == 0 for i in places), len(places))
    shares = [one.at_risk.value or 0 for one in risk.classes]
    assert shares == sorted(shares, reverse=True)


def test_without_labels_a_flip_is_the_risk() -> None:
    record, side = steady_run(labelled=False)
    # What float says is the class then.
    rows = [
        row.model_copy(update={"float_prediction": said})
        for row, said in zip(record.examples, side.base.predictions.tolist(), strict=True)
    ]
    record = with_policy(record.model_copy(update={"examples": rows}), range(30))
    found = explain_inputs(context_of(record, side))
    (risk,) = found.policies
    assert (risk.at_risk.k, risk.at_risk.n) == (30, 80)
    assert (risk.lost, risk.gained, risk.other_wrong) == (None, None, None)
    assert found.traits[0].measured == "the answer in float"
    counts = np.bincount(side.base.predictions.numpy(), minlength=4)
    assert {one.label: one.at_risk.n for one in risk.classes} == {
        label: n for label, n in enumerate(counts.tolist()) if n
    }


def test_features_are_those_of_the_network_itself(run: Run) -> None:
    side = run[1]
    seen = []
    module = side.audit.subject.module
    last = module.get_submodule("layers.2")
    handle = last.register_forward_pre_hook(lambda _module, args: seen.append(args[0].clone()))
    side.evaluator.float_scores(side.everyone)
    handle.remove()
    expected = torch.cat(seen)[: len(side.examples)].double()
    found = features_of(side)
    assert found is not None
    assert torch.equal(found, expected)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_network_that_overflows(labelled: bool) -> None:
    """Some examples are infinite in float already: they have no distance, and are in no rate."""
    x = torch.rand(24, 3, generator=torch.Generator().manual_seed(3))
    x[:12, 0] = torch.linspace(0.9, 1.1, 12)
    batch = (x, x.argmax(1)) if labelled else x
    audit = Audit(Overflowing().eval(), [batch], settings=SETTINGS)
    suite, base = audit.ready()
    record = audit.assess(command="made by the tests")
    names = default_policies(record)
    found = explain_inputs(Context(record, names, Side("test", audit, suite, base, {})))
    in_float = sum(row.float_prediction is None for row in record.examples)
    assert in_float == 6
    for risk in found.policies:
        assert risk.numeric_failures.k >= in_float
        assert risk.flipped.n == 24 - risk.numeric_failures.k
        for one in risk.comparisons:
            assert one.n_risk + one.n_safe <= risk.at_risk.n
