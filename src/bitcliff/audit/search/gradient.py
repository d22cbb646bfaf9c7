"""The main search: linearise the margin in the choice of bits, solve, repeat; then exchange moves.

The profit of width o at point l is <-d margin / d x_l, Q_o(x_l) - x_l>; the exact knapsack
maximises their sum under the budget. The network is far from linear in its rounding errors, so the
profits are taken anew around the quantized network, and the best allocation that was really
evaluated is kept.
"""

from collections.abc import Sequence
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
    tables = gradients.numpy()  # the same numbers
    for _ in range(steps):
        active = (best.cost >= problem.clear).nonzero().flatten()
        if len(active) == 0:
            return
        trials = [_trial(best, group, tables[group], rng) for group in active.tolist()]
        better = best.offer(torch.tensor([bits for bits, _ in trials]), active)
        for group, (_, touched), found in zip(
            active.tolist(), trials, better.tolist(), strict=True
        ):
            if not found:
                gradients[group, touched] *= _DISCOURAGED


def _trial(
    best: Best, group: int, gradients: Float[np.ndarray, "points o"], rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """An allocation near the group's best that it has not tried, and the points last exchanged."""
    bits, touched = best.bits[group].tolist(), list[int]()
    for _ in range(_FARTHEST):
        moves = _likeliest_moves(best.problem, bits, gradients, rng)
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
    bits: Sequence[int],
    gradients: Float[np.ndarray, "points o"],
    rng: np.random.Generator,
) -> list[_Move]:
    """Moves from `bits` by predicted gain, blurred; the most promising first.

    In numpy, which takes half of torch's time for so small tables: there is one for each group and
    move.
    """
    picked = rng.permutation(len(bits))[:_POINTS_AT_A_TIME]
    options, prices = problem.options.numpy(), problem.prices.numpy()
    now, table = np.searchsorted(options, np.array(bits)[picked]), gradients[picked]
    everyone = np.arange(len(picked))
    change = table - table[everyone, now, None]
    if problem.floors:
        change = np.where(problem.forbidden(len(bits)).numpy()[picked], np.inf, change)
    steps, shift = problem.steps.numpy(), prices - prices[now, None]
    # (steps, points, o): what is gained by going up, or down, by each step; infinite where there
    # is none.
    up = np.where(shift == steps, change, np.inf)
    down = np.where(shift == -steps, change, np.inf)
    cost = up.min(2)[:, :, None] + down.min(2)[:, None, :]
    cost[:, everyone, everyone] = np.inf
    step, first, second = _most_promising(cost, rng)
    raised = options[up[step, first].argmin(1)]
    lowered = options[down[step, second].argmin(1)]
    ends = picked[first], raised, picked[second], lowered
    return [_Move(*ends) for ends in zip(*(end.tolist() for end in ends), strict=True)]


def _most_promising(
    cost: Float[np.ndarray, "steps points points"], rng: np.random.Generator
) -> tuple[Int[np.ndarray, " moves"], ...]:
    """Where the least costs are, blurred, the least first; infinite ones are none."""
    usable = np.isfinite(cost)
    places: tuple[Int[np.ndarray, " moves"], ...] = usable.nonzero()
    count = min(_MOVES_LOOKED_AT, len(places[0]))
    if count > 0:
        scale = float(torch.from_numpy(cost[usable]).std(correction=0)) + 1e-12
        noisy = (cost / scale - 0.5 * rng.gumbel(size=cost.shape)).ravel()
        least = np.argpartition(noisy, count - 1)[:count]
        places = np.unravel_index(least[np.argsort(noisy[least])], cost.shape)
    return places
