"""Mitigations of small networks, of which it is known what helps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bitcliff.questions.context import Context, allocation_of
from bitcliff.questions.layers.observe import observe_layers
from bitcliff.questions.layers.statistics import KIND as LAYERS
from bitcliff.questions.layers.statistics import inflection
from bitcliff.questions.mitigations.observe import candidates, observe_mitigations
from bitcliff.questions.mitigations.page import finding
from bitcliff.questions.mitigations.record import Mitigations, MitigationsObserved
from bitcliff.questions.mitigations.search import Mitigation, search_again
from bitcliff.questions.mitigations.statistics import figures, problems
from bitcliff.record import Record, with_answer
from bitcliff.types.subject import Subject
from tests.contract.subjects import Tokens
from tests.questions.mitigations.mitigated import (
    SETTINGS,
    cliff_context,
    context_of,
    observed_cliff,
    signs,
)
from tests.small_networks import Cliff, OnTheGrid, Overflowing


@pytest.fixture(scope="module")
def cliff() -> Mitigations:
    return sound(*observed_cliff())


def mitigated(context: Context) -> Mitigations:
    return sound(context.record, observe_mitigations(context))


def sound(record: Record, found: MitigationsObserved) -> Mitigations:
    assert list(problems(record, found)) == []
    return figures(record, found)


def test_the_plan_names_exactly_the_layer_to_blame_and_gives_back_all(cliff: Mitigations) -> None:
    assert cliff.unmitigated is not None
    assert cliff.unmitigated.right.k <= 16
    context = cliff_context()
    assert candidates(context, context.test.everyone)[0] == "middle"
    assert cliff.plan is not None
    assert {*cliff.plan.float_points, *cliff.plan.floors} == {"middle"}
    assert cliff.recommended[0].right.k == cliff.recommended[0].right.n == 24
    assert cliff.recommended[0].regained.p_value < 0.05


def test_a_layer_in_float_costs_what_it_says(cliff: Mitigations) -> None:
    row = next(row for row in cliff.tried if row.family == "float")
    assert row.float_points == ["middle"]
    assert row.right.k == 24
    assert row.standing == "inconclusive"  # none of 24 lost: up to 14 points may be
    cost = row.cost
    assert (cost.in_float, cost.total_bits, cost.mean_bits) == (1, 16, 8.0)
    assert cost.mean_with_float == (16 + 32) / 3
    assert cost.float_macs == 6 / (4 + 6 + 4)


def test_a_mitigation_that_does_nothing_is_said_to_do_nothing(cliff: Mitigations) -> None:
    clipped = next(row for row in cliff.tried if row.family == "percentile")
    assert clipped.regained.difference_pp == 0
    assert (clipped.regained.lost, clipped.regained.gained) == (0, 0)
    assert clipped.before.n == clipped.right.n == 12
    assert cliff.chosen_on == 12


def test_the_layer_to_blame_is_tried_first(cliff: Mitigations) -> None:
    row = next(row for row in cliff.tried if row.family == "float")
    assert row.float_points == ["middle"]
    floored = [row.floors for row in cliff.tried if row.family == "floors"]
    assert floored == [{"second": 7, "middle": 7, "last": 7}, {"middle": 10}]


def test_half_of_the_examples_choose_and_the_others_confirm(cliff: Mitigations) -> None:
    (shown,), (confirmed,) = cliff.recommended, cliff.confirmed
    assert cliff.recommended_on == confirmed.right.n == 12
    assert shown.right.n == 24
    assert confirmed.words == shown.words
    assert confirmed.regained.p_value < 0.05


def test_what_only_the_choosing_half_gains_from_is_not_confirmed() -> None:
    """Every example but those held out is saved by a mitigation: it is chosen, and seen to fail."""
    record, observed = observed_cliff()
    held_out = np.setdiff1d(np.arange(24), observed.half)
    labels = record.table.labels
    assert labels is not None
    trials = []
    for trial in observed.trials:
        predictions = np.zeros(len(trial.worst.predictions), np.int32)
        if trial.family == "float":
            predictions = labels.copy()
            predictions[held_out] = 1 - labels[held_out]
        worst = trial.worst.model_copy(update={"predictions": predictions})
        trials.append(trial.model_copy(update={"worst": worst}))
    found = figures(record, MitigationsObserved(half=observed.half, trials=trials))
    (shown,), (confirmed,) = found.recommended, found.confirmed
    assert shown.family == "float"
    assert (confirmed.right.k, confirmed.right.n, shown.right.k) == (0, 12, 12)


def test_the_layers_that_break_are_tried_first_and_said_to_be_of_all_examples() -> None:
    context = cliff_context()
    bits = allocation_of(context.record.outcomes["worst-8"])
    side = replace(context.test, allocations={"worst-8": bits})
    layers = observe_layers(Context(context.record, ("worst-8",), side))
    record = with_answer(context.record, "layers", layers, LAYERS)
    assert inflection(record, "worst-8") == [1]
    found = mitigated(replace(context, record=record))
    assert [*found.tried[0].floors] == ["middle"]
    assert found.tried[1].float_points == ["middle"]
    tried = [(r.family, r.scheme, *r.float_points, *r.floors.items()) for r in found.tried]
    assert len(tried) == len(set(tried))
    # All examples named it, also those that confirm it.
    assert {*found.confirmed[0].float_points, *found.confirmed[0].floors} == {"middle"}
    assert "its points, the inflection points, were found on all)" in finding(record, found)


def test_few_examples_choose_and_show_alike() -> None:
    found = mitigated(cliff_context(n=12))
    assert found.recommended
    assert (found.recommended_on, found.confirmed) == (0, [])


def test_draws_of_nobody(cliff: Mitigations) -> None:
    assert cliff.random is not None
    assert cliff.random.draws == SETTINGS.draws
    assert cliff.random.all_right.k <= cliff.random.worst.k <= cliff.random.mean.k


def test_without_labels_right_means_as_in_float() -> None:
    found = sound(*observed_cliff(labelled=False))
    assert found.float_right is not None
    assert found.float_right.k == found.float_right.n == 24
    assert found.plan is not None
    assert {*found.plan.float_points, *found.plan.floors} == {"middle"}


def test_a_floor_everywhere_leaves_bits_to_spend(cliff: Mitigations) -> None:
    row = next(row for row in cliff.tried if row.words.endswith("at every point"))
    assert row.words == "at least 7 bits at every point"
    assert row.cost.mean_bits == 8
    assert row.cost.freedom_log2 > 0


def test_nothing_lost_is_nothing_to_mend() -> None:
    x = torch.stack([torch.randperm(4) for _ in range(12)]).float()
    settings = SETTINGS.changed(bits=(2, 4, 8), budgets=(4.0,))
    found = mitigated(context_of(OnTheGrid(), [x], settings))
    assert found.not_measured == "the worst case found loses nothing"
    assert found.plan is None
    assert not found.tried


def test_a_run_that_only_drew_at_random_has_no_worst_case() -> None:
    context = context_of(Cliff(), [signs()], SETTINGS.changed(randomised=True))
    assert [policy.name for policy in context.record.policies] == ["weights-only", "random-8"]
    assert mitigated(context).not_measured == "the run looked for no worst case"


def test_numeric_failures_are_counted_apart() -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(16, 3, generator=generator) * 1.05
    settings = SETTINGS.changed(bits=(2, 3, 4), budgets=(3.0,), scheme="onnx")
    found = mitigated(context_of(Overflowing(), [x], settings))
    assert found.unmitigated is not None
    for row in (found.unmitigated, *found.tried):
        if row.family != "percentile":
            assert row.right.n <= 16 - row.failures


def test_text_models() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 11, (12, 5), generator=generator)
    data = {"tokens": tokens, "mask": torch.ones(12, 5, dtype=torch.bool)}
    settings = SETTINGS.changed(bits=(2, 3, 4, 5), budgets=(2.5,))
    found = mitigated(context_of(Tokens().eval(), [data], settings))
    assert {row.family for row in found.tried} >= {"float", "percentile"}


def test_a_tuned_network_is_judged_anew() -> None:
    context = cliff_context()
    subject = context.test.prepared.subject

    def tune(mean: float) -> Subject:
        assert mean == 8.0
        return replace(subject, module=Cliff(peak=2.0).eval(), weights_sha256="tuned")

    found = mitigated(replace(context, tune=tune))
    row = found.tried[-1]
    assert row.family == "fine-tuned"
    assert found.tuned
    assert row.right.k > row.before.k
    assert row.cost.float_macs == 0


def test_a_plan_of_the_run_itself_is_kept() -> None:
    context = cliff_context()
    audit = context.test.prepared
    settings = audit.settings.changed(floors={"second": 4, "middle": 4})
    planned = context_of(audit.subject.module, [(signs(), audit.examples.labels)], settings)
    mitigation = Mitigation("float", "1 point in float", in_float=("middle",))
    found = search_again(mitigation, planned.test.prepared, 8.0, lambda *_: None)
    assert found.prepared.settings.floors == {"second": 4}
    assert found.prepared.settings.in_float == ("middle",)
    assert bool((found.bits[:, 0] >= 4).all())
