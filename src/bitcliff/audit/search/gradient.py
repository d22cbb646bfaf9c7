"""The main search: linearise the margin in the choice of bits, solve, repeat; then exchange moves.

The profit of width o at point l is <-d margin / d x_l, Q_o(x_l) - x_l>; the exact knapsack
maximises their sum under the budget. The network is far from linear in its rounding errors, so the
profits are taken anew around the quantized network, and the best allocation that was really
evaluated is kept.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitcliff.audit.search.problem import Best, Problem

# Points drawn for one exchange step: all pairs among them are weighed.
_POINTS_AT_A_TIME = 64
# Of these, the most promising moves that are looked through for one that was not tried yet.
_MOVES_LOOKED_AT = 32
# Exchanges made at once, at most, where all near allocations were tried.
_FARTHEST = 4
# How little less a point is promised after a move with it failed.
_DISCOURAGED = 0.7


ROUND_COST = 5
"""Of a round, in forward passes: one of them, a backward pass that costs three, an evaluation."""


class _Move(NamedTuple):
    """One point's option becomes `up`, which costs more, another's `down`, which as much less."""

    first: int
    up: int
    second: int
    down: int


def gradient_search(
    problem: Problem,
    start: Int[Tensor, "g points"],
    rounds: int,
    exchanges: int,
    rng: np.random.Generator,
) -> Best:
    """The whole main search, from allocations that are tried first."""
    best = Best(problem, start.clone())
    best.offer(start)
    exchange(problem, best, relinearise(problem, best, rounds), exchanges, rng)
    return best


def relinearise(problem: Problem, best: Best, rounds: int) -> Float[Tensor, "g points o"]:
    """`rounds` rounds of linearise, solve, evaluate; improves `best` in place.

    Each round starts from the newest solution. Every other one solves for the average of all
    gradients so far: single linearisations swing, their mean does not. Groups whose cost is clear
    rest.

    Returns:
        The averaged gradients, as a guide for exchange moves.
    """
    current = best.bits.clone()
    mean = torch.zeros(*current.shape, len(problem.options))
    for number in range(rounds):
        active = (best.cost >= problem.clear).nonzero().flatten()
        if len(active) == 0:
            break
        gradients = problem.gradients(current[active], active)
        mean[active] += (gradients - mean[active]) / (number + 1)
        current[active] = problem.cheapest(gradients if number % 2 == 0 else mean[active])
        best.offer(current[active], active)
    return mean


def exchange(
    problem: Problem,
    best: Best,
    gradients: Float[Tensor, "g points o"],
    steps: int,
    rng: np.random.Generator,
) -> None:
    """Exchange moves: one point's bits go up, another's down by as much; improvements are kept.

    In each step every group tries the move that the gradients promise most of, blurred by noise so
    that others get their turn, and never an allocation that it tried before while there are others
    near. Groups whose cost is clear rest.
    """
    gradients = gradients.clone()
    for _ in range(steps):
        active = (best.cost >= problem.clear).nonzero().flatten()
        if len(active) == 0:
            return
        trials = [_trial(best, group, gradients[group], rng) for group in active.tolist()]
        better = best.offer(torch.tensor([bits for bits, _ in trials]), active)
        for group, (_, touched), found in zip(
            active.tolist(), trials, better.tolist(), strict=True
        ):
            if not found:
                gradients[group, touched] *= _DISCOURAGED


def _trial(
    best: Best, group: int, gradients: Float[Tensor, "points o"], rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """An allocation near the group's best that it has not tried, and the points last exchanged."""
    bits, touched = best.bits[group].tolist(), list[int]()
    for _ in range(_FARTHEST):
        moves = _likeliest_moves(best.problem, torch.tensor(bits), gradients, rng)
        if not moves:
            break
        at_random = moves[int(rng.integers(len(moves)))]
        for first, up, second, down in [*moves, at_random]:
            moved = bits.copy()
            moved[first], moved[second] = up, down
            if best.is_new(group, moved):
                return moved, [first, second]
        bits, touched = moved, [first, second]
    return bits, touched


def _likeliest_moves(
    problem: Problem,
    bits: Int[Tensor, " points"],
    gradients: Float[Tensor, "points o"],
    rng: np.random.Generator,
) -> list[_Move]:
    """Moves from `bits` by predicted gain, blurred; the most promising first."""
    picked = torch.from_numpy(rng.permutation(len(bits))[:_POINTS_AT_A_TIME].copy())
    now, table = problem.choice(bits[picked, None]), gradients[picked]
    change = table - table.gather(1, now)
    if problem.floors:
        change = change.masked_fill(problem.forbidden(len(bits))[picked], torch.inf)
    steps, shift = problem.steps, problem.prices - problem.prices[now]
    # (steps, points): what is gained by going up, or down, by each step, and to which option;
    # infinite where there is none.
    up, higher = torch.where(shift == steps, change, torch.inf).min(2)
    down, lower = torch.where(shift == -steps, change, torch.inf).min(2)
    cost = up[:, :, None] + down[:, None, :]
    cost.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    usable = torch.isfinite(cost)
    count = min(_MOVES_LOOKED_AT, int(usable.sum()))
    if count == 0:
        return []
    scale = float(cost[usable].std(correction=0)) + 1e-12
    noisy = cost / scale - 0.5 * torch.from_numpy(rng.gumbel(size=cost.shape))
    chosen = noisy.flatten().topk(count, largest=False).indices
    step, first, second = (
        torch.from_numpy(i) for i in np.unravel_index(chosen.numpy(), cost.shape)
    )
    raised, lowered = problem.options[higher[step, first]], problem.options[lower[step, second]]
    ends = picked[first], raised, picked[second], lowered
    return [_Move(*ends) for ends in zip(*(end.tolist() for end in ends), strict=True)]
