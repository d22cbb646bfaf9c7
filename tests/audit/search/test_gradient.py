from itertools import pairwise

import numpy as np
import pytest
import torch

from bitcliff.audit.search import Best, even_allocation, exchange, generator, relinearise
from tests.audit.searching import (
    OPTIONS,
    all_allocations,
    brute_force,
    evaluator_of,
    gradient_search,
    problem_of,
    wins_over_uniform_draws,
)
from tests.small_networks import Cliff, OnTheGrid, chain

N = 24


@pytest.mark.parametrize(
    ("total", "floor", "sign"),
    [
        (18, 0.9, -1),
        (22, 0.6, 1),
        pytest.param(18, 0.9, 1, marks=pytest.mark.slow),
        pytest.param(22, 0.6, -1, marks=pytest.mark.slow),
    ],
)
def test_most_examples_get_their_true_extreme(total: int, floor: float, sign: int) -> None:
    """46 evaluations an example against all of 35 (155) allocations, three networks."""
    hits = []
    for seed in range(3):
        torch.manual_seed(100 + seed)
        evaluator = evaluator_of(chain(seed, points=5, width=8), torch.randn(N, 4))
        costs = sign * brute_force(evaluator, all_allocations(5, OPTIONS, total))
        found = gradient_search(problem_of(evaluator, OPTIONS, total, sign)).cost
        truth = costs.amin(0)
        assert bool((found >= truth).all()), "better than every allocation there is"
        hits.append((found == truth).double().mean().item())
    assert np.mean(hits) >= floor, f"true extreme found for {hits}"


def test_a_longer_search_finds_nearly_all_of_them() -> None:
    torch.manual_seed(1)
    evaluator = evaluator_of(chain(0, points=5, width=8), torch.randn(N, 4))
    truth = brute_force(evaluator, all_allocations(5, OPTIONS, 22)).amin(0)
    found = gradient_search(problem_of(evaluator, OPTIONS, 22), exchanges=120).cost
    assert (found == truth).double().mean().item() >= 0.95


def test_it_beats_as_many_uniform_draws_by_far() -> None:
    wins = []
    for seed in range(2):
        torch.manual_seed(seed)
        evaluator = evaluator_of(chain(seed, points=12, width=12), torch.randn(N, 4))
        # A round costs about five forward passes.
        found = gradient_search(problem_of(evaluator, range(3, 9), 60), rounds=4, exchanges=28)
        wins.append(wins_over_uniform_draws(found, 48))
    assert np.mean(wins) > 0.5, wins


def test_what_is_reported_is_what_the_network_does() -> None:
    evaluator = evaluator_of(
        chain(3), torch.randn(N, 4, generator=torch.Generator().manual_seed(3))
    )
    best = gradient_search(problem_of(evaluator, OPTIONS, 22))
    again = evaluator.margins(torch.arange(N), best.bits)
    assert torch.equal(best.cost, again)
    assert best.bits.sum(1).tolist() == [22] * N
    assert set(best.bits.flatten().tolist()) <= set(OPTIONS)


def test_a_shared_allocation_is_near_the_best_there_is() -> None:
    evaluator = evaluator_of(
        chain(2), torch.randn(N, 4, generator=torch.Generator().manual_seed(2))
    )
    problem = problem_of(evaluator, OPTIONS, 20, shared=True)
    everyone = torch.zeros(1, dtype=torch.int64)
    allocations = all_allocations(5, OPTIONS, 20)
    costs = torch.stack([problem.objective(bits[None], everyone)[0] for bits in allocations])
    found = gradient_search(problem).cost[0]
    assert found >= costs.min()
    # Among the best three of all 101.
    assert int((costs < found).sum()) < 3


def test_a_planted_cliff_is_found() -> None:
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    evaluator = evaluator_of(Cliff(), x)
    evaluator.scale = 0.0
    even = evaluator.margins(torch.arange(20), torch.full((20, 3), 8))
    assert int((even < 0).sum()) == 0
    best = gradient_search(problem_of(evaluator, range(3, 11), 24))
    flippable = brute_force(evaluator, all_allocations(3, range(3, 11), 24)).amin(0) < 0
    assert int(flippable.sum()) >= 8
    assert torch.equal(best.cost < 0, flippable)


def test_a_network_that_cannot_break_is_not_reported_broken() -> None:
    x = torch.stack([torch.randperm(4) for _ in range(12)]).float()
    evaluator = evaluator_of(OnTheGrid(), x)
    start = evaluator.float_scores(torch.arange(12))
    best = gradient_search(problem_of(evaluator, (2, 4, 8), 16))
    after = evaluator.scores(torch.arange(12), best.bits)
    assert torch.equal(after.predictions, start.predictions)
    assert best.cost.tolist() == [1.0] * 12


def test_more_exchanges_never_find_less() -> None:
    evaluator = evaluator_of(
        chain(4), torch.randn(N, 4, generator=torch.Generator().manual_seed(4))
    )
    problem = problem_of(evaluator, OPTIONS, 21)
    costs = [gradient_search(problem, exchanges=steps).cost for steps in (0, 3, 10, 30)]
    for less, more in pairwise(costs):
        assert bool((more <= less).all())
    assert bool((costs[-1] < costs[0]).any())


def test_more_rounds_never_find_less() -> None:
    evaluator = evaluator_of(
        chain(4), torch.randn(N, 4, generator=torch.Generator().manual_seed(4))
    )
    problem = problem_of(evaluator, OPTIONS, 21)
    costs = [gradient_search(problem, rounds=rounds, exchanges=0).cost for rounds in (0, 1, 3, 6)]
    for less, more in pairwise(costs):
        assert bool((more <= less).all())
    assert bool((costs[-1] < costs[0]).any())


def test_the_seed_decides_everything() -> None:
    evaluator = evaluator_of(
        chain(5), torch.randn(N, 4, generator=torch.Generator().manual_seed(5))
    )
    problem = problem_of(evaluator, OPTIONS, 21)
    first, again, other = (gradient_search(problem, exchanges=5, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.bits, again.bits)
    assert torch.equal(first.cost, again.cost)
    assert not torch.equal(first.bits, other.bits)


def test_nothing_is_tried_twice_while_there_is_something_new() -> None:
    evaluator = evaluator_of(
        chain(6), torch.randn(4, 4, generator=torch.Generator().manual_seed(6))
    )
    problem = problem_of(evaluator, OPTIONS, 18)
    best = Best(problem, even_allocation(problem, 5))
    seen: list[list[tuple[int, ...]]] = [[] for _ in range(4)]
    offer = best.offer

    def noting(bits: torch.Tensor, only: torch.Tensor | None = None) -> torch.Tensor:
        for group, row in enumerate(bits.tolist()):
            seen[group].append(tuple(row))
        return offer(bits, only)

    best.offer = noting  # type: ignore[method-assign]
    best.offer(best.bits.clone())
    exchange(problem, best, torch.zeros(4, 5, 4), 30, generator(0))
    for tried in seen:
        assert len(set(tried)) >= 29, "of 35 allocations, 31 evaluations"


def test_one_point_or_one_width_leaves_nothing_to_exchange() -> None:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(7))
    for points, options, total in ((1, OPTIONS, 5), (5, (4,), 20)):
        evaluator = evaluator_of(chain(0, points=points), x)
        best = gradient_search(problem_of(evaluator, options, total), exchanges=3)
        assert best.bits.tolist() == [[total // points] * points] * 6


def test_widths_far_apart_are_exchanged_too() -> None:
    torch.manual_seed(8)
    evaluator = evaluator_of(chain(8), torch.randn(20, 4))
    options, total = (2, 4, 8), 22
    truth = brute_force(evaluator, all_allocations(5, options, total)).amin(0)
    best = gradient_search(problem_of(evaluator, options, total))
    assert bool((best.cost >= truth).all())
    assert (best.cost == truth).double().mean().item() >= 0.7


def test_a_network_that_stops_gradients_is_searched_all_the_same() -> None:
    class Closed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = chain(9)

        @torch.no_grad()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)  # type: ignore[no-any-return]

    torch.manual_seed(9)
    evaluator = evaluator_of(Closed().eval(), torch.randn(20, 4))
    problem = problem_of(evaluator, OPTIONS, 18)
    best = Best(problem, even_allocation(problem, 5))
    assert relinearise(problem, best, 2).abs().max() == 0
    truth = brute_force(evaluator, all_allocations(5, OPTIONS, 18)).amin(0)
    assert (gradient_search(problem).cost == truth).double().mean().item() >= 0.8
