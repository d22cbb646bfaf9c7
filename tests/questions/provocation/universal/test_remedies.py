"""Weights rounded the other way, and widths mixed."""

import torch

from bitcliff.points.forward import take
from bitcliff.questions.provocation.universal.remedies import fine_tuned, flipped, mixed
from bitcliff.types.numerics import Numerics
from tests.questions.provocation.universal.networks import FOUR, prepared

STEP = 1 / 7


def by_hand(weight: torch.Tensor) -> torch.Tensor:
    """Levels of the four-bit grid of a tensor whose largest magnitude is 1."""
    return (weight / STEP).round()


def test_those_of_most_error_go_to_the_other_level_and_as_many_up_as_down() -> None:
    weight = 2 * torch.rand(6, 40, generator=torch.Generator().manual_seed(0)) - 1
    weight[:, 0] = 1.0
    numerics = Numerics(element="int4", group="batch", scale="amax", divisor=7.0)
    before, after = by_hand(weight), by_hand(flipped(weight, numerics))
    error = weight / STEP - before
    went = after - before
    assert set(went.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert torch.equal(went[went != 0], error[went != 0].sign())
    assert torch.equal((went > 0).sum(1), (went < 0).sum(1))
    assert float(error[went != 0].abs().min()) > 0.25
    # Of each row and sign, those that went have more error than those that stayed.
    for row in range(6):
        for sign in (1, -1):
            mine = error[row] * sign > 0
            moved = mine & (went[row] != 0)
            stayed = mine & (went[row] == 0)
            assert float(error[row][moved].abs().min()) >= float(error[row][stayed].abs().max())


def test_every_other_layer_is_wide() -> None:
    network = prepared(0, planted=True, n=20)
    found = mixed(network.evaluator.attachment, FOUR)
    elements = [one.activations.element for one in found if one.activations is not None]
    assert elements == ["uint4", "uint8"]


def test_fine_tuning_brings_the_rounded_network_nearer_to_float() -> None:
    network = prepared(0, planted=True, n=40)
    plain, inputs = network.evaluator.attachment, network.evaluator.inputs
    clean = take(inputs, torch.arange(20))
    weights = fine_tuned(plain, FOUR, clean, seed=0)
    assert weights.keys() == {"first.weight", "last.weight"}
    changed = {
        name: float((one - dict(plain.model.named_parameters())[name]).abs().max())
        for name, one in weights.items()
    }
    assert all(change > 0 for change in changed.values())
    # The network itself stays as it is.
    assert float(dict(plain.model.named_parameters())["first.weight"].max()) == 1.0
