"""Both searches under floors: within the allowed set, and as good as its true worst."""

import torch

from bitcliff.audit.search import Best, Problem, even_allocation, evolve, generator
from tests.audit.searching import (
    OPTIONS,
    all_allocations,
    brute_force,
    evaluator_of,
    gradient_search,
    problem_of,
)
from tests.small_networks import chain

FLOORS, TOTAL = (3, 5, 4, 3, 4), 21


def problem() -> tuple[Problem, torch.Tensor]:
    """One whose floors rule out allocations that are worse, and the true worst within them."""
    x = torch.randn(24, 4, generator=torch.Generator().manual_seed(1))
    evaluator = evaluator_of(chain(1, points=5, width=8), x)
    every = all_allocations(5, OPTIONS, TOTAL)
    kept = every[(every >= torch.tensor(FLOORS)).all(1)]
    anywhere, within = (brute_force(evaluator, rows).amin(0) for rows in (every, kept))
    assert 10 < len(kept) < len(every)
    assert bool((anywhere < within).any())
    return problem_of(evaluator, OPTIONS, TOTAL, floors=FLOORS), within


def evolved(given: Problem) -> Best:
    best = Best(given, even_allocation(given, 5))
    evolve(given, best, 60, generator(0))
    return best


def test_the_searches_keep_the_floors_and_find_the_worst_within_them() -> None:
    given, within = problem()
    for search in (gradient_search, evolved):
        best = search(given)
        assert bool((best.bits >= torch.tensor(FLOORS)).all())
        assert best.bits.sum(1).tolist() == [TOTAL] * 24
        assert bool((best.cost >= within).all()), "worse than every allocation within the floors"
        assert float((best.cost == within).double().mean()) >= 0.6


def test_every_allocation_tried_keeps_the_floors() -> None:
    given, _ = problem()
    best = gradient_search(given, rounds=3, exchanges=60)
    tried = [list(bits) for group in best._tried for bits in group]
    assert len(tried) > 24 * 10
    assert bool((torch.tensor(tried) >= torch.tensor(FLOORS)).all())
