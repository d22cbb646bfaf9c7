import functools

import pytest
import torch
from torch import nn

from bitcliff.assess import AssessSettings, Audit
from bitcliff.assess.measured import predictions_of
from bitcliff.policy import Batch
from bitcliff.records import Measured, Record
from bitcliff.types.subject import Examples
from tests.assess.searching import evaluator_of
from tests.contract.subjects import EFFORT, SETTINGS
from tests.small_networks import chain

X = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))


def suite_of(settings: AssessSettings = SETTINGS, seed: int = 0) -> Suite:
    evaluator = evaluator_of(chain(seed, points=4, width=10), X)
    evaluator.scale = 0.0
    return Suite(evaluator, evaluator.reference.tolist(), settings, {})


def run(suite: Suite) -> dict[str, Measured]:
    for step in suite.steps():
        suite.done[step.name] = suite.measure(step)
    return suite.done


def test_draws_can_be_drawn_again_and_give_what_was_stored() -> None:
    """The record holds predictions of every draw; another evaluation of the same draws agrees."""
    suite = suite_of()
    done = run(suite)
    for name in ("random-2.5", "random-static-2.5"):
        stored = done[name].outcomes.draws
        assert stored is not None
        everyone = torch.arange(20)
        for number, policy in enumerate(suite._random_policies(done[name].condition)):
            bits = policy(Batch(X, everyone))
            predictions = predictions_of(suite.evaluator.scores(everyone, bits))
            assert stored[number].tolist() == predictions
        assert number + 1 == SETTINGS.draws


def test_stored_bits_give_the_stored_margins() -> None:
    suite = suite_of()
    for name, measured in run(suite).items():
        if name == "weights-only":
            continue
        outcomes = measured.outcomes
        index = torch.tensor(outcomes.index.tolist())
        bits = torch.tensor([outcomes.at(place).bits for place in index.tolist()])
        found = suite.evaluator.margins(index, bits).tolist()
        assert found == outcomes.margin.tolist(), name


def test_weak_searches_take_up_what_random_draws_found() -> None:
    """With no search at all, the worst still flips whatever any draw flipped."""
    suite = suite_of(SETTINGS.changed(rounds=0, exchanges=0, evaluations=0, draws=20))
    done = run(suite)
    reference = suite.evaluator.reference.tolist()
    flipped = {
        place
        for name in ("random-2.5", "random-static-2.5")
        for place in range(20)
        if any(draw != reference[place] for draw in done[name].outcomes.at(place).draws or [])
    }
    assert len(flipped) >= 5
    worst = done["worst-2.5"].outcomes.prediction.tolist()
    assert flipped <= {place for place in range(20) if worst[place] != reference[place]}
    assert "worst-evolutionary-2.5" not in done


@functools.cache
def measured_with(**effort: int) -> dict[str, Measured]:
    return run(suite_of(SETTINGS.changed(**effort, uniform=(4,))))


@pytest.mark.parametrize(
    "more", [{"exchanges": 12}, {"draws": 10}, {"evaluations": 20}, {"exchanges": 12, "draws": 10}]
)
def test_more_effort_with_the_same_seed_never_finds_less(more: dict[str, int]) -> None:
    base = {"rounds": 2, "exchanges": 3, "evaluations": 5, "draws": 3}
    less, harder = measured_with(**base), measured_with(**base | more)
    for mean in ("2.5", "4"):
        for kind, sign in (("worst", 1), ("worst-evolutionary", 1), ("best", -1)):
            margins = (each[f"{kind}-{mean}"].outcomes.margin for each in (less, harder))
            for before, after in zip(*margins, strict=True):
                if not sign * before < 0:  # what is decided may rest
                    assert sign * after <= sign * before


def test_halves_are_disjoint_whole_and_shuffled() -> None:
    chosen, reported = suite_of()._halves()
    assert sorted([*chosen.tolist(), *reported.tolist()]) == list(range(20))
    assert len(chosen) == len(reported) == 10
    assert chosen.tolist() != list(range(10))
    other, _ = suite_of(SETTINGS.changed(seed=1))._halves()
    assert chosen.tolist() != other.tolist()


def test_the_static_allocation_is_chosen_on_one_half_only() -> None:
    """Whatever the other half holds: its examples may be changed without changing the choice."""
    suite = suite_of()
    _, reported = suite._halves()
    first = run(suite)["worst-static-2.5"]
    assert first.outcomes.index.tolist() == reported.tolist()
    changed = suite_of()
    poisoned = X.clone()
    poisoned[reported] = 5 * poisoned[reported].flip(0)
    changed.evaluator.inputs = poisoned
    second = run(changed)["worst-static-2.5"]
    assert second.outcomes.allocation == first.outcomes.allocation is not None
    margins = [measured.outcomes.margin.tolist() for measured in (first, second)]
    assert margins[0] != margins[1]


def test_too_few_examples_for_halves() -> None:
    evaluator = evaluator_of(chain(0, points=4), X[:3])
    names = [step.name for step in Suite(evaluator, [0, 0, 0], SETTINGS, {}).steps()]
    assert not [name for name in names if "static" in name and "worst" in name]


def test_steps_cost_about_what_they_say() -> None:
    suite = suite_of()
    for step in suite.steps():
        before = suite.evaluator.spent.cost
        suite.done[step.name] = suite.measure(step)
        used = suite.evaluator.spent.cost - before
        assert 0 < used <= 2 * step.cost, step.name


def test_the_adversary_of_a_trained_network_finds_what_even_bits_do_not_show(
    record: Record, mlp: nn.Module, held_out: Examples
) -> None:
    by_name = record.by_name
    assert by_name["uniform-3"].flips.all.k <= by_name["worst-3"].flips.all.k - 15
    assert by_name["best-3"].flips.all.k <= by_name["uniform-3"].flips.all.k
    assert by_name["worst-3"].flips.all.k >= by_name["worst-evolutionary-3"].flips.all.k
    assert by_name["weights-only"].flips.all.k == 0
    assert record.float_.accuracy is not None
    with torch.no_grad():
        right = mlp(held_out.inputs).argmax(1) == held_out.labels
    assert record.float_.accuracy.k == int(right.sum())


def test_a_label_margin_leaves_wrong_examples_wrong(mlp: nn.Module, held_out: Examples) -> None:
    settings = EFFORT.changed(bits=(2, 3, 4, 5), budgets=(3.0,), uniform=(3,), margin="label")
    record = Audit(mlp, held_out, settings=settings).assess()
    worst = record.by_name["worst-3"]
    assert worst.flips.gained is not None
    assert worst.flips.gained.k == 0
    for row in record.examples:
        assert row.label is not None
        assert row.float_margin is not None
        assert (row.float_margin > 0) == (row.float_prediction == row.label)
