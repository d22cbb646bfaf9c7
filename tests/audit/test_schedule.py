import functools
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings, Audit
from bitcliff.audit.from_python import own_examples, own_subject
from bitcliff.audit.outcomes import predictions_of
from bitcliff.audit.prepare import prepare
from bitcliff.audit.schedule import Schedule
from bitcliff.policy import Batch
from bitcliff.record import Measured, Record
from bitcliff.types.subject import Examples
from tests.contract.subjects import EFFORT, SETTINGS
from tests.small_networks import chain

X = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))


def schedule_of(settings: AssessSettings = SETTINGS, seed: int = 0, n: int = 20) -> Schedule:
    """Searches rest as soon as an example flips."""
    network = own_subject(chain(seed, points=4, width=10))
    prepared = prepare(network, own_examples(X[:n]), settings.changed(batch_size=16))
    return Schedule(replace(prepared, evaluator=replace(prepared.evaluator, scale=0.0)))


def run(schedule: Schedule) -> dict[str, Measured]:
    schedule.run()
    return schedule.done


def test_draws_can_be_drawn_again_and_give_what_was_stored() -> None:
    """The record holds predictions of every draw; another evaluation of the same draws agrees."""
    schedule = schedule_of()
    done = run(schedule)
    for name in ("random-2.5", "random-static-2.5"):
        stored = done[name].outcomes.draws
        assert stored is not None
        everyone = torch.arange(20)
        for number, policy in enumerate(schedule._random_policies(done[name].condition)):
            bits = policy(Batch(X, everyone))
            predictions = predictions_of(schedule.evaluator.scores(everyone, bits))
            assert stored[number].tolist() == predictions
        assert number + 1 == SETTINGS.draws


def test_stored_bits_give_the_stored_margins() -> None:
    schedule = schedule_of()
    for name, measured in run(schedule).items():
        if name == "weights-only":
            continue
        outcomes = measured.outcomes
        index = torch.tensor(outcomes.index.tolist())
        bits = torch.tensor([outcomes.at(place).bits for place in index.tolist()])
        found = schedule.evaluator.margins(index, bits).tolist()
        assert found == outcomes.margin.tolist(), name


def test_weak_searches_take_up_what_random_draws_found() -> None:
    """With no search at all, the worst still flips whatever any draw flipped."""
    schedule = schedule_of(SETTINGS.changed(rounds=0, exchanges=0, evaluations=0, draws=20))
    done = run(schedule)
    reference = schedule.evaluator.reference.tolist()
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
    return run(schedule_of(SETTINGS.changed(**effort, uniform=(4,))))


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


class OfItsBatch(nn.Module):
    """Takes the mean over the batch off its scores: alone, all of them are zero."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = chain(0, points=4, width=10)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x)
        return found - found.mean(0, keepdim=True)


def test_a_format_whose_scale_a_batch_shares_is_compared_with_float_in_like_batches() -> None:
    network = OfItsBatch().eval()
    settings = SETTINGS.changed(budgets=(), numerics=("ort-uint8", "vllm-int8-token"))
    asked = settings.changed(batch_size=16)
    prepared = prepare(own_subject(network), own_examples(X), asked)
    usual = prepared.in_float.predictions
    with torch.no_grad():
        alone = torch.cat([network(x) for x in X.split(1)]).argmax(1)
    assert not torch.equal(alone, usual)
    done = run(Schedule(prepared))
    found = {name: one.outcomes.in_float for name, one in done.items()}
    # Batches are those that float was run in from the first, the last one filled up.
    assert {name: one is None for name, one in found.items()} == {
        "ort-uint8": False,
        "ort-uint8-batch": True,
        "vllm-int8-token": True,
    }
    in_float = found["ort-uint8"]
    assert in_float is not None
    assert in_float.tolist() == alone.tolist()


def test_halves_are_disjoint_whole_and_shuffled() -> None:
    chosen, reported = schedule_of()._halves()
    assert sorted([*chosen.tolist(), *reported.tolist()]) == list(range(20))
    assert len(chosen) == len(reported) == 10
    assert chosen.tolist() != list(range(10))
    other, _ = schedule_of(SETTINGS.changed(seed=1))._halves()
    assert chosen.tolist() != other.tolist()


def test_the_static_allocation_is_chosen_on_one_half_only() -> None:
    """Whatever the other half holds: its examples may be changed without changing the choice."""
    schedule = schedule_of()
    _, reported = schedule._halves()
    first = run(schedule)["worst-static-2.5"]
    assert first.outcomes.index.tolist() == reported.tolist()
    changed = schedule_of()
    poisoned = X.clone()
    poisoned[reported] = 5 * poisoned[reported].flip(0)
    changed.evaluator.inputs = poisoned
    second = run(changed)["worst-static-2.5"]
    assert second.outcomes.allocation == first.outcomes.allocation is not None
    margins = [measured.outcomes.margin.tolist() for measured in (first, second)]
    assert margins[0] != margins[1]


def test_too_few_examples_for_halves() -> None:
    names = [step.name for step in schedule_of(n=3).steps()]
    assert not [name for name in names if "static" in name and "worst" in name]


def test_steps_cost_about_what_they_say() -> None:
    schedule = schedule_of()
    for step in schedule.steps():
        before = schedule.evaluator.spent.cost
        schedule.done[step.name] = schedule.measure(step)
        used = schedule.evaluator.spent.cost - before
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
