"""The layer analysis of whole networks with a planted weakness, and what it writes down."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bitcliff.audit import AssessSettings
from bitcliff.questions.context import Context, Side, allocation_of
from bitcliff.questions.layers.cells import NOTHING, Cell, curves, range_text
from bitcliff.questions.layers.observe import observe_layers
from bitcliff.questions.layers.record import LayersObserved, LayerSweep, SweepObserved
from bitcliff.questions.layers.statistics import figures
from bitcliff.record import Record
from bitcliff.types.rate import Rate
from bitcliff.types.subject import Examples
from tests.questions.planted import Planted, examples, side_of
from tests.small_networks import Overflowing


def observed(record: Record, *sides: Side) -> LayersObserved:
    train = sides[1] if len(sides) > 1 else None
    return observe_layers(Context(record, ("even",), sides[0], train))


def explained(record: Record, *sides: Side) -> list[LayerSweep]:
    """The figures, of a network with as many points as the sides have."""
    return figures(
        of_points(record, len(sides[0].prepared.points)), observed(record, *sides)
    ).sweeps


def of_points(record: Record, number: int) -> Record:
    point = record.subject.points[-1].model_copy(update={"quantized": True, "reason": ""})
    points = [point.model_copy(update={"name": str(each)}) for each in range(number)]
    subject = record.subject.model_copy(update={"points": points})
    return replace(record, observed=record.observed.model_copy(update={"subject": subject}))


@pytest.mark.parametrize("places", [{0}, {4}, {8}, {2, 6}, {0, 4, 8}])
def test_the_planted_layers_are_named_and_confirmed(record: Record, places: set[int]) -> None:
    (sweep,) = explained(record, side_of(Planted(9, places), examples()))
    assert sweep.inflection == sorted(places)
    confirmation = sweep.confirmation
    assert confirmation is not None
    assert confirmation.points == sorted(places)
    # By themselves they cost all that is lost, and kept in float they give all of it back.
    assert confirmation.only == sweep.all
    assert confirmation.cost == sweep.whole
    assert confirmation.without == sweep.none == sweep.float_rate
    assert sweep.whole.difference_pp is not None
    assert confirmation.regained.difference_pp == -sweep.whole.difference_pp > 60
    assert confirmation.regained.gained == sweep.whole.lost


def test_nothing_is_named_where_nothing_is_lost(record: Record) -> None:
    (sweep,) = explained(record, side_of(Planted(9, ()), examples()))
    assert not sweep.inflection
    assert not sweep.large_steps
    assert sweep.confirmation is None
    assert sweep.whole.lost == 0
    assert {rate.value for rate in sweep.before + sweep.after} == {1.0}


def test_every_number_follows_from_the_predictions(record: Record) -> None:
    side = side_of(Planted(9, {2, 6}), examples())
    (found,), (sweep,) = observed(record, side).sweeps, explained(record, side)
    check_numbers(found, sweep, 9)


def check_numbers(found: SweepObserved, sweep: LayerSweep, points: int) -> None:
    targets, ways = found.targets.tolist(), curves(points)

    def right(cell: Cell) -> tuple[int, int]:
        predictions = found.predictions[range_text(cell)].tolist()
        pairs = [(p, t) for p, t in zip(predictions, targets, strict=True) if -1 not in (p, t)]
        return sum(p == t for p, t in pairs), len(pairs)

    for rates, cells in (
        (sweep.before, ways.before),
        (sweep.after, ways.after),
        (sweep.single, ways.single),
        (sweep.all_but, ways.all_but),
        ([sweep.none, sweep.all], [NOTHING, frozenset(range(points))]),
    ):
        assert [(rate.k, rate.n) for rate in rates] == [right(cell) for cell in cells]


def test_the_training_split_confirms_what_the_test_split_names(record: Record) -> None:
    model = Planted(9, {3})
    test = side_of(model, examples())
    train = side_of(model, examples(40, seed=1), "train")
    first, second = explained(record, test, train)
    assert (first.split, second.split) == ("test", "train")
    assert (first.n, second.n) == (64, 40)
    assert second.inflection == [3]
    # Where the test split names nothing, there is nothing to confirm on the other.
    harmless = replace(test, allocations={"even": torch.full((64, 9), 16)})
    first, second = explained(record, harmless, train)
    assert first.inflection == []
    assert second.inflection == [3]
    assert second.confirmation is None


def test_without_labels_right_means_as_in_float(record: Record) -> None:
    (labelled,) = explained(record, side_of(Planted(9, {4}), examples()))
    (bare,) = explained(record, side_of(Planted(9, {4}), examples(labelled=False)))
    assert bare == labelled


def test_a_policy_that_one_split_lacks_is_left_out_there(record: Record) -> None:
    test = side_of(Planted(4, {1}), examples())
    train = replace(side_of(Planted(4, {1}), examples(seed=1), "train"), allocations={})
    assert [sweep.split for sweep in explained(record, test, train)] == ["test"]


def test_numeric_failures_are_left_out_of_the_rates(record: Record) -> None:
    x = torch.tensor([[0.5, 0.2, 0.1], [5.0, 1.0, 0.0], [0.3, 0.9, 0.4], [0.99, 0.98, 0.1]])
    data = Examples("overflow", x, x.argmax(1), ("a", "b", "c", "d"), 4, "0" * 64)
    side = side_of(Overflowing(), data, bits=4)
    (found,), (sweep,) = observed(record, side).sweeps, explained(record, side)
    assert (sweep.float_rate.n, sweep.none.n, sweep.all.n) == (3, 3, 3)
    assert found.in_float[1] == found.targets[1] == -1
    check_numbers(found, sweep, 2)


def test_progress_ends_where_it_was_said_to(record: Record) -> None:
    told: list[tuple[str, int, int]] = []
    side = side_of(Planted(4, {1}), examples())
    observe_layers(Context(record, ("even",), side, side, lambda *heard: told.append(heard)))
    assert {(what, whole) for what, _, whole in told} == {("even", 2 * 12 * 64)}
    done = [done for _, done, _ in told]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] < 2 * 12 * 64


def test_a_real_networks_sweep_ends_at_the_policys_own_accuracy(
    record: Record, mlp: nn.Module, held_out: Examples, quick_settings: AssessSettings
) -> None:
    """All quantized is what the run measured, and before L, after 1 are the same."""
    side = side_of(mlp, held_out, settings=quick_settings)
    bits = allocation_of(record.outcomes["worst-3"])
    answer = observe_layers(
        Context(record, ("worst-3",), replace(side, allocations={"worst-3": bits}))
    )
    (found,), (sweep,) = answer.sweeps, figures(record, answer).sweeps
    policy, weights = record.by_name["worst-3"], record.by_name["weights-only"]
    assert sweep.all == sweep.before[-1] == sweep.after[0] == policy.accuracy
    assert sweep.none == weights.accuracy
    assert sweep.float_rate == record.float_.accuracy
    assert isinstance(sweep.single[0], Rate)
    assert sweep.single[0] == sweep.before[0]
    check_numbers(found, sweep, 6)
    assert sweep.calls_share == found.calls / found.naive_calls <= 0.6
    assert np.array_equal(found.in_float, record.table.prediction)
