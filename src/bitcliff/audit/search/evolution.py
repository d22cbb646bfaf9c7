"""An evolutionary search over the same allocations, without gradients: a check on the other one."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.search.problem import Best, Problem
from bitcliff.budget import sample_allocations

_POPULATION = 8
_MUTATION = 0.15


def evolve(
    problem: Problem,
    best: Best,
    evaluations: int,
    rng: np.random.Generator,
) -> None:
    """(mu + lambda) evolution for every group at once; improves `best` in place.

    Args:
        evaluations: how often each group is evaluated, at most.

    Groups whose best cost is clear rest. The first population is drawn uniformly from all feasible
    allocations. Children mix two parents over a stretch of the network, get some widths drawn anew,
    and are brought back to the exact total by the nearest feasible allocation. A child that was
    tried before gives way to a stranger.
    """
    groups, points = best.bits.shape
    population = torch.empty(0, groups, points, dtype=torch.int64)
    costs = torch.empty(0, groups, dtype=torch.float64)
    while evaluations > 0:
        active = (best.cost >= problem.clear).nonzero().flatten()
        if len(active) == 0:
            return
        size = min(_POPULATION, evaluations)
        children, child_costs = [], torch.full((size, groups), torch.inf, dtype=torch.float64)
        for number in range(size):
            child = _child(problem, best, population, costs, rng)
            child_costs[number, active] = problem.objective(child[active], active)
            best.keep(child[active], child_costs[number, active], active)
            children.append(child)
        population, costs = _survivors(population, costs, torch.stack(children), child_costs)
        evaluations -= size


def _child(
    problem: Problem, best: Best, population: Tensor, costs: Tensor, rng: np.random.Generator
) -> Int[Tensor, "groups points"]:
    groups, points = best.bits.shape
    strangers = _strangers(problem, groups, points, rng)
    if len(population) == 0:
        return strangers
    children = _children(problem, population, costs, rng)
    new = [best.is_new(group, child) for group, child in enumerate(children.tolist())]
    return torch.where(torch.tensor(new)[:, None], children, strangers)


def _strangers(
    problem: Problem, groups: int, points: int, rng: np.random.Generator
) -> Int[Tensor, "groups points"]:
    drawn = sample_allocations(
        groups, points, problem.options.tolist(), problem.total, rng, problem.floors
    )
    return problem.options[drawn]


def _children(
    problem: Problem, population: Tensor, costs: Tensor, rng: np.random.Generator
) -> Int[Tensor, "groups points"]:
    size, groups, points = population.shape
    everyone = torch.arange(groups)
    mother, father = (_tournament(costs, size, groups, rng) for _ in range(2))
    ends = torch.from_numpy(np.sort(rng.integers(0, points + 1, (2, groups)), axis=0))
    place = torch.arange(points)
    stretch = (place >= ends[0][:, None]) & (place < ends[1][:, None])
    child = torch.where(stretch, population[mother, everyone], population[father, everyone])
    fresh = problem.options[
        torch.from_numpy(rng.integers(0, len(problem.options), (groups, points)))
    ]
    mutated = torch.from_numpy(rng.random((groups, points)) < _MUTATION)
    wanted = torch.where(mutated, fresh, child).double()
    # The noise decides which points give way when the total must be met.
    return problem.nearest(wanted + torch.from_numpy(rng.normal(0, 0.5, (groups, points))))


def _tournament(costs: Tensor, size: int, groups: int, rng: np.random.Generator) -> Tensor:
    rivals = torch.from_numpy(rng.integers(0, size, (2, groups)))
    everyone = torch.arange(groups)
    first_wins = costs[rivals[0], everyone] <= costs[rivals[1], everyone]
    return torch.where(first_wins, rivals[0], rivals[1])


def _survivors(
    population: Tensor, costs: Tensor, children: Tensor, child_costs: Tensor
) -> tuple[Tensor, Tensor]:
    everyone = torch.cat([population, children])
    all_costs = torch.cat([costs, child_costs])
    order = all_costs.argsort(dim=0, stable=True)[:_POPULATION]
    return everyone.gather(0, order[:, :, None].expand(-1, -1, everyone.shape[2])), (
        all_costs.gather(0, order)
    )
