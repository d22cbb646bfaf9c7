"""A slice on which a real network fails is found with the right description, and none without."""

from dataclasses import replace

import numpy as np
import torch

from bitcliff.audit.compose import example_table
from bitcliff.audit.prepare import prepare
from bitcliff.audit.schedule import Schedule
from bitcliff.questions.context import Context, SecondData, Side
from bitcliff.questions.distributions.observe import observe_distributions
from bitcliff.questions.distributions.record import DistributionsObserved, UnderPolicy
from bitcliff.questions.distributions.statistics import figures
from bitcliff.record import Outcomes, Table
from bitcliff.types.subject import Examples
from tests.questions.distributions.planted import FAINT, POLICY, context, digits, faint_places


def policy_of(asked: Context, observed: DistributionsObserved) -> UnderPolicy:
    (found,) = figures(asked.record, observed).policies
    return found


def second(asked: Context, examples: Examples) -> Context:
    """The same with a second set, measured as a run measures it."""
    own = asked.test.prepared

    def measured() -> tuple[Side, Table, dict[str, Outcomes]]:
        schedule = Schedule(prepare(own.subject, examples, own.settings))
        schedule.measure_only({POLICY}, lambda *_: None)
        side = Side("test", schedule.prepared, {})
        return side, example_table(schedule.prepared, ()), {POLICY: schedule.done[POLICY].outcomes}

    return replace(asked, second=SecondData(examples, measured))


def test_a_planted_slice_is_found_as_what_it_is() -> None:
    asked = context()
    spent = asked.test.evaluator.spent.forward
    observed = observe_distributions(asked)
    # Float alone, once for the clusters and once for the distances.
    assert asked.test.evaluator.spent.forward == spent
    found = policy_of(asked, observed).slice
    assert found is not None
    (condition,) = found.conditions
    assert (condition.key, condition.at) == ("brightness", "most")
    assert abs(condition.value - FAINT) < 0.02
    assert found.p_holm is not None
    assert found.p_holm < 1e-6
    # As counted from the images themselves, on the half that it was not chosen on.
    rest = np.setdiff1d(np.arange(200), observed.half)
    assert isinstance(asked.test.examples.inputs, torch.Tensor)
    grey = asked.test.examples.inputs.flatten(1).mean(1).numpy()
    table, now = asked.record.table, asked.record.outcomes[POLICY].prediction
    right = [p for p in rest if table.prediction[p] == table.targets[p]]
    inside = [p for p in right if grey[p] <= condition.value + 1e-9]
    lost = [p for p in inside if now[p] != table.targets[p]]
    assert (found.inside.k, found.inside.n) == (len(lost), len(inside))


def test_without_the_plant_and_without_labels_too() -> None:
    unplanted = context(planted=False)
    found = policy_of(unplanted, observe_distributions(unplanted)).slice
    assert found is None or (found.p_holm or 0) > 0.05
    unlabelled = context(labelled=False)
    row = policy_of(unlabelled, observe_distributions(unlabelled))
    assert row.slice is not None
    assert [one.key for one in row.slice.conditions] == ["brightness"]
    # Of all, right or not.
    assert row.slice.inside.n + row.slice.outside.n == 100
    assert row.change.gained == 0


def test_a_second_set_of_fainter_images_loses_more() -> None:
    own = digits(60, seed=1)
    assert isinstance(own.inputs, torch.Tensor)
    fainter = replace(own, inputs=0.8 * own.inputs, name="fainter")
    asked = second(context(), fainter)
    observed = observe_distributions(asked)
    assert observed.second is not None
    assert (observed.second.data, len(observed.second.table)) == ("fainter", 60)
    row = policy_of(asked, observed)
    assert row.shift is not None
    assert row.shift.change.n == 60
    assert row.shift.change.lost <= len(faint_places(fainter))
    assert row.shift.difference is not None
    assert row.shift.difference.low_pp > 0
    assert (row.shift.difference.p_holm or 1) < 1e-6
    assert row.slice is not None
    assert row.slice.second is not None
    assert row.slice.second.n > 30
    assert row.slice.second.k == row.shift.change.lost


def test_a_second_set_of_the_same_kind_loses_alike() -> None:
    asked = second(context(), digits(60, seed=5))
    row = policy_of(asked, observe_distributions(asked))
    assert row.shift is not None
    assert row.shift.difference is not None
    assert (row.shift.difference.p_holm or 0) > 0.05


def test_clusters_are_of_what_float_makes_of_the_first_half() -> None:
    asked = context()
    observed = observe_distributions(asked)
    clusters = observed.described.cluster
    assert clusters is not None
    assert "what reaches last in float" in observed.clusters
    # Scores of digits: examples of one cluster are mostly of one class.
    pure = sum(
        np.bincount(asked.record.table.targets[clusters == one]).max()
        for one in np.unique(clusters)
    )
    assert pure > 90
    again = observe_distributions(asked).described.cluster
    assert again is not None
    assert (again == clusters).all()
