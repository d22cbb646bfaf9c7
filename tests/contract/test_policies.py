"""One contract for all policies: exact total, shape, determinism, independence of batch-mates."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bitcliff.policy import (
    Batch,
    LearnedPolicy,
    PerExample,
    Policy,
    RandomPerExample,
    RandomStatic,
    Static,
    Uniform,
)

POINTS, OPTIONS, TOTAL, N = 7, (3, 4, 5, 6, 7), 35, 16


def _table() -> Tensor:
    base = torch.tensor([3, 7, 4, 6, 5, 5, 5])
    return torch.stack([base.roll(shift) for shift in range(N)])


def _looking() -> nn.Module:
    """A network that looks at the three numbers of an example."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        head = nn.Linear(3, POINTS * len(OPTIONS))
    return nn.Sequential(head, nn.Unflatten(1, (POINTS, len(OPTIONS))))


POLICIES: dict[str, Callable[[], Policy]] = {
    "uniform": lambda: Uniform(POINTS, 5),
    "static": lambda: Static(torch.tensor([3, 7, 4, 6, 5, 5, 5])),
    "per example": lambda: PerExample(_table(), OPTIONS),
    "random per example": lambda: RandomPerExample(POINTS, OPTIONS, TOTAL, seed=11),
    "learned": lambda: LearnedPolicy(_looking(), POINTS, OPTIONS, TOTAL),
    "random static": lambda: RandomStatic(POINTS, OPTIONS, TOTAL, seed=11),
}
SHARED = {"uniform", "static", "random static"}

INPUTS = torch.randn(N, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=sorted(POLICIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(policy: Policy, *places: int, inputs: Tensor = INPUTS) -> Tensor:
    index = torch.tensor(places)
    return policy(Batch(inputs[index], index))


def test_every_example_spends_exactly_the_total(name: str) -> None:
    policy = POLICIES[name]()
    bits = ask(policy, *range(N))
    assert bits.shape == (N, POINTS)
    assert not bits.is_floating_point()
    assert bits.sum(1).tolist() == [policy.total] * N == [TOTAL] * N
    assert set(bits.flatten().tolist()) <= set(policy.options) <= set(OPTIONS)


def test_it_answers_the_same_again(name: str) -> None:
    policy = POLICIES[name]()
    first = ask(policy, *range(N))
    assert torch.equal(ask(policy, *range(N)), first)
    assert torch.equal(ask(POLICIES[name](), *range(N)), first)


def test_batch_mates_do_not_matter(name: str) -> None:
    policy = POLICIES[name]()
    whole = ask(policy, *range(N))
    for place in (0, 5, N - 1):
        assert torch.equal(ask(policy, place)[0], whole[place])
    order = [9, 2, 2, 15, 0]
    assert torch.equal(ask(policy, *order), whole[order])
    poisoned = INPUTS.clone()
    poisoned[1:] = float("nan")
    assert torch.equal(ask(policy, *range(N), inputs=poisoned)[0], whole[0])


def test_what_it_gives_can_be_changed_without_harm(name: str) -> None:
    policy = POLICIES[name]()
    first = ask(policy, *range(N)).clone()
    ask(policy, *range(N)).clone().fill_(0)
    assert torch.equal(ask(policy, *range(N)), first)


def test_shared_and_single_allocations_are_what_their_names_say(name: str) -> None:
    distinct = len(ask(POLICIES[name](), *range(N)).unique(dim=0))
    assert (distinct == 1) == (name in SHARED)
