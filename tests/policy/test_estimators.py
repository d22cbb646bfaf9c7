"""Each estimator against what it claims: exact choices, and a known gradient."""

import itertools

import pytest
import torch
from torch import Tensor

from bitcliff.budget import marginals, solve
from bitcliff.policy import PolicyNetwork, PolicyNetworkConfig, choose
from bitcliff.policy.estimators import Estimator, soft_marginals

OPTIONS = (3, 4, 5, 6)
TOTAL = 20


def values_of(batch: int, points: int = 5) -> Tensor:
    return torch.rand(batch, points, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("estimator", ["straight-through", "scale", "marginals", "sampled"])
def test_the_choice_is_one_hot_at_the_exact_total(estimator: Estimator) -> None:
    torch.manual_seed(2)
    values = values_of(30)
    chosen = choose(values, OPTIONS, TOTAL, estimator).one_hot
    assert set(chosen.unique().tolist()) == {0.0, 1.0}
    assert (chosen.sum(2) == 1).all()
    assert ((chosen * torch.tensor(OPTIONS)).sum((1, 2)) == TOTAL).all()
    best = torch.equal(chosen.argmax(2), solve(values, OPTIONS, TOTAL))
    assert best == (estimator != "sampled")


@pytest.mark.parametrize("estimator", ["straight-through", "scale"])
def test_the_gradient_goes_straight_through_the_choice(estimator: Estimator) -> None:
    values, gradients = values_of(6).requires_grad_(True), torch.randn(6, 5, 4)
    (choose(values, OPTIONS, TOTAL, estimator).one_hot * gradients).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, gradients)


def test_through_a_whole_policy_network_the_gradient_is_that_of_its_softmax() -> None:
    images, given = torch.rand(6, 1, 8, 8), torch.randn(6, 5, 4)
    gradients = []
    for hard in (True, False):
        torch.manual_seed(0)
        network = PolicyNetwork(1, 5, 4, PolicyNetworkConfig((4, 6)))
        values = network(images).softmax(2)
        chosen = choose(values, OPTIONS, TOTAL).one_hot if hard else values
        (chosen * given).sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 3.0])
def test_soft_marginals_are_the_budgets_own(temperature: float) -> None:
    values = values_of(8).double()
    found = soft_marginals(values, OPTIONS, TOTAL, temperature)
    expected = marginals(values, OPTIONS, TOTAL, temperature)
    assert torch.allclose(found, expected, atol=1e-12)


def test_the_gradient_of_marginals_is_the_right_one_and_knows_of_the_budget() -> None:
    values, gradients = values_of(3).double(), torch.randn(3, 5, 4, dtype=torch.float64)
    given = values.clone().requires_grad_(True)
    chosen = choose(given, OPTIONS, TOTAL, "marginals", 0.3).one_hot
    (chosen * gradients).sum().backward()
    assert given.grad is not None
    for index in itertools.product(range(3), range(5), range(4)):
        ends = []
        for step in (1e-5, -1e-5):
            moved = values.clone()
            moved[index] += step
            ends.append((marginals(moved, OPTIONS, TOTAL, 0.3) * gradients).sum())
        assert given.grad[index] == pytest.approx(((ends[0] - ends[1]) / 2e-5).item(), abs=1e-7)
    # Wanting more bits everywhere changes nothing where their sum is fixed.
    dearer = (given.grad * torch.tensor(OPTIONS)).sum((1, 2))
    assert torch.allclose(dearer, torch.zeros_like(dearer), atol=1e-10)


def test_sampled_gradients_are_those_of_the_expected_cost_on_average() -> None:
    options, total, temperature, copies = (2, 3, 4), 9, 0.4, 40_000
    values = torch.rand(1, 3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    table = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64)

    exact = values.clone().requires_grad_(True)
    ways = [way for way in itertools.product(range(3), repeat=3) if sum(way) == 3]
    energies = torch.stack([exact[0, [0, 1, 2], list(way)].sum() for way in ways])
    expected_cost = energies.div(temperature).softmax(0) @ torch.stack([table[way] for way in ways])
    expected_cost.backward()
    assert exact.grad is not None

    torch.manual_seed(7)
    drawn = values.clone().requires_grad_(True)
    choice = choose(drawn.expand(copies, -1, -1), options, total, "sampled", temperature)
    assert not choice.one_hot.requires_grad
    costs = table[tuple(choice.one_hot.argmax(2).unbind(1))]
    surrogate = choice.surrogate(costs)
    assert isinstance(surrogate, Tensor)
    surrogate.backward()
    assert drawn.grad is not None
    assert exact.grad.abs().max() > 0.1
    # The standard error of each entry is below 0.01.
    assert torch.allclose(drawn.grad, exact.grad, atol=0.04)


def test_a_constant_cost_teaches_nothing() -> None:
    torch.manual_seed(0)
    values = values_of(16).requires_grad_(True)
    surrogate = choose(values, OPTIONS, TOTAL, "sampled").surrogate(torch.full((16,), 3.0))
    assert isinstance(surrogate, Tensor)
    surrogate.backward()
    assert values.grad is not None
    assert values.grad.abs().max() < 1e-5
