from itertools import pairwise

import numpy as np
import pytest
import torch

from bitcliff.audit.search import Best, Problem, even_allocation, evolve, generator
from tests.audit.searching import (
    OPTIONS,
    all_allocations,
    brute_force,
    evaluator_of,
    points_of,
    problem_of,
    wins_over_uniform_draws,
)
from tests.small_networks import Cliff, OnTheGrid, chain

N = 24


def evolved(problem: Problem, evaluations: int, seed: int = 0) -> Best:
    points = points_of(problem)
    best = Best(problem, even_allocation(problem, points))
    evolve(problem, best, evaluations, generator(seed))
    return best


@pytest.mark.parametrize(
    ("total", "evaluations", "floor"),
    [(18, 48, 0.7), pytest.param(22, 120, 0.6, marks=pytest.mark.slow)],
)
def test_most_examples_get_their_true_worst(total: int, evaluations: int, floor: float) -> None:
    hits = []
    for seed in range(3):
        torch.manual_seed(100 + seed)
        evaluator = evaluator_of(chain(seed, points=5, width=8), torch.randn(N, 4))
        truth = brute_force(evaluator, all_allocations(5, OPTIONS, total)).amin(0)
        found = evolved(problem_of(evaluator, OPTIONS, total), evaluations).cost
        assert bool((found >= truth).all()), "worse than every allocation there is"
        hits.append((found == truth).double().mean().item())
    assert np.mean(hits) >= floor, f"true worst found for {hits}"


@pytest.mark.slow
def test_it_beats_as_many_uniform_draws() -> None:
    wins = []
    for seed in range(2):
        torch.manual_seed(seed)
        evaluator = evaluator_of(chain(seed, points=12, width=12), torch.randn(N, 4))
        found = evolved(problem_of(evaluator, range(3, 9), 60), 96)
        wins.append(wins_over_uniform_draws(found, 96))
    assert np.mean(wins) > 0.15, wins


def test_a_planted_cliff_is_found() -> None:
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    evaluator = evaluator_of(Cliff(), x)
    evaluator.scale = 0.0
    best = evolved(problem_of(evaluator, range(3, 11), 24), 64)
    flippable = brute_force(evaluator, all_allocations(3, range(3, 11), 24)).amin(0) < 0
    assert int(flippable.sum()) >= 8
    assert torch.equal(best.cost < 0, flippable)


def test_a_network_that_cannot_break_is_not_reported_broken() -> None:
    x = torch.stack([torch.randperm(4) for _ in range(12)]).float()
    best = evolved(problem_of(evaluator_of(OnTheGrid(), x), (2, 4, 8), 16), 40)
    assert best.cost.tolist() == [1.0] * 12


def test_more_evaluations_never_find_less() -> None:
    evaluator = evaluator_of(
        chain(4), torch.randn(N, 4, generator=torch.Generator().manual_seed(4))
    )
    problem = problem_of(evaluator, OPTIONS, 21)
    costs = [evolved(problem, evaluations).cost for evaluations in (1, 5, 8, 19, 40)]
    for less, more in pairwise(costs):
        assert bool((more <= less).all())
    assert bool((costs[-1] < costs[0]).any())


def test_it_evaluates_as_often_as_it_says_and_spends_the_budget() -> None:
    torch.manual_seed(0)
    evaluator = evaluator_of(chain(1), torch.randn(10, 4))
    before = evaluator.spent.forward
    best = evolved(problem_of(evaluator, OPTIONS, 21), 21)
    assert evaluator.spent.forward - before == 21 * 10
    assert best.bits.sum(1).tolist() == [21] * 10


def test_the_seed_decides_everything() -> None:
    evaluator = evaluator_of(
        chain(5), torch.randn(N, 4, generator=torch.Generator().manual_seed(5))
    )
    problem = problem_of(evaluator, OPTIONS, 21)
    first, again, other = (evolved(problem, 16, seed) for seed in (1, 1, 2))
    assert torch.equal(first.bits, again.bits)
    assert not torch.equal(first.bits, other.bits)
