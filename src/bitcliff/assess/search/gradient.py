"""The main search: linearise the margin in the choice of bits, solve, repeat; then exchange moves.

The profit of width o at point l is <-d margin / d x_l, Q_o(x_l) - x_l>; the exact knapsack
maximises their sum under the budget. The network is far from linear in its rounding errors, so the
profits are taken anew around the quantized network, and the best allocation that was really
evaluated is kept.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitcliff.assess.search.problem import Best, Problem

# Points drawn for one exchange step: all pairs among them are weighed.
_POINTS_AT_A_TIME = 64


def relinearise(problem: Problem, best: Best, rounds: int) -> Float[Tensor, "g points o"]:
    """`rounds` rounds of linearise, solve, evaluate; improves `best` in place.

    Each round starts from the newest solution. Every other one solves for the average of all slopes
    so far: single linearisations swing, their mean does not. Groups whose cost is
    clear rest.

    Returns:
        The averaged slopes, as a guide for exchange moves.
    """
    current = best.bits.clone()
    mean = torch.zeros(*current.shape, len(problem.options))
    for number in range(rounds):
        active = (best.cost >= problem.clear).nonzero().flatten()
        if len(active) == 0:
            break
        slopes = problem.slopes(current[active], active)
        mean[active] += (slopes - mean[active]) / (number + 1)
        current[active] = problem.cheapest(slopes if number % 2 == 0 else mean[active])
        best.offer(current[active], active)
    return mean


def exchange(
    problem: Problem,
    best: Best,
    slopes: Float[Tensor, "g points o"],
    steps: int,
    rng: np.random.Generator,
) -> None:
    """Exchange moves: one point's bits go up, another's down by as much; improvements are kept.

    In each step every group tries the move that the slopes promise most of, blurred by noise so
    that others get their turn. Groups whose cost is clear rest.
    """
    slopes = slopes.clone()
    for _ in range(steps):
        active = (best.cost >= problem.clear).nonzero().flatten()
        if len(active) == 0:
            return
        trial, touched = _moves(problem, best.bits[active], slopes[active], rng)
        better = best.offer(trial, active)
        # A move that failed is promised less of next time.
        failed = active[~better]
        for group, points in zip(failed.tolist(), touched[~better].tolist(), strict=True):
            slopes[group, points] *= 0.7


def _moves(
    problem: Problem,
    bits: Int[Tensor, "g points"],
    slopes: Float[Tensor, "g points o"],
    rng: np.random.Generator,
) -> tuple[Int[Tensor, "g points"], Int[Tensor, "g 2"]]:
    count, points = bits.shape
    picked = torch.from_numpy(rng.permutation(points)[:_POINTS_AT_A_TIME].copy())
    widths, table = bits[:, picked], slopes[:, picked]
    here = table.gather(2, problem.choice(widths)[:, :, None])
    change = table - here
    shift = problem.options - widths[:, :, None]
    trial, touched = bits.clone(), torch.zeros(count, 2, dtype=torch.int64)
    spread = max(int(shift.abs().max()), 1)
    for group in range(count):
        first, up, second, down = _draw(change[group], shift[group], spread, rng)
        pair = picked[[first, second]]
        trial[group, pair] = problem.options[[up, down]]
        touched[group] = pair
    return trial, touched


def _draw(
    change: Float[Tensor, "points o"],
    shift: Int[Tensor, "points o"],
    spread: int,
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """One move (point, option, point, option) whose shifts cancel, drawn by predicted gain."""
    steps = range(1, spread + 1)
    up = torch.stack([torch.where(shift == step, change, torch.inf) for step in steps])
    down = torch.stack([torch.where(shift == -step, change, torch.inf) for step in steps])
    # (steps, points, points): the first point goes up, the second down, by the same step.
    cost = up.amin(2)[:, :, None] + down.amin(2)[:, None, :]
    cost.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    usable = torch.isfinite(cost)
    if not bool(usable.any()):
        stay = int((shift[0] == 0).nonzero())
        return 0, stay, 0, stay
    scale = float(cost[usable].std(correction=0)) + 1e-12
    noisy = cost / scale - 0.5 * torch.from_numpy(rng.gumbel(size=cost.shape))
    step, first, second = np.unravel_index(int(noisy.argmin()), cost.shape)
    return (
        int(first),
        int(up[step, first].argmin()),
        int(second),
        int(down[step, second].argmin()),
    )
