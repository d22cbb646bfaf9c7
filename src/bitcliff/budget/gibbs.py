"""The Gibbs distribution over allocations of an exact total: marginals and samples.

The tables are those of the solver in the log-semiring. A log-sum is kept as two numbers: the best
sum of values M, and R = log of the sum of exp((sum - M) / T) over all ways, so that
log Z = M / T + R. Differences are taken before dividing by T: a low temperature costs no precision.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from bitcliff.budget.tables import Array, Knapsack, check_every_example, impossible, prepare
from bitcliff.budget.totals import check_whole
from bitcliff.errors import InputError


@dataclass(frozen=True)
class _LogTable:
    """Padded rows of one table: `best` is M, `rest` is R (0 where M is -inf)."""

    best: Array
    rest: Array


def marginals(
    values: Float[Tensor, "batch points options"],
    bits: Sequence[int],
    total: int,
    temperature: float | int = 1.0,
) -> Float64[Tensor, "batch points options"]:
    """Probability of each option at each point, under p proportional to exp(sum of values / T).

    p is over the allocations that add up to exactly `total` bits, so the expected cost under the
    marginals is `total` too. By the forward-backward algorithm, exact up to float64.

    Args:
        values: (batch, L, O), in any unit; -inf forbids an option.
        bits: the O option costs in bits, ascending.
        total: bits to allocate per example, over all L points.
        temperature: T > 0, in the unit of `values`.

    Raises:
        InputError: an argument is malformed.
        NumericError: a value is NaN or +inf, or the sums overflow.
        InfeasibleBudget: no allocation of some example adds up to `total`.
    """
    scale = _inverse(temperature)
    shape, profits = prepare(values, bits, total)
    result = np.empty(profits.shape)
    for chunk in shape.chunks(values.shape[0]):
        part = np.ascontiguousarray(profits[:, :, chunk])
        after = _log_tables(shape, part, scale)
        check_every_example(shape, part, after[0].best[shape.pad], chunk.start)
        before = _log_tables(shape, part[::-1], scale)[::-1]
        for point in range(shape.length):
            result[point, :, chunk] = _marginal(
                shape, part[point], before[point], after[point + 1], point, scale
            )
    return torch.from_numpy(result.transpose(2, 0, 1).copy()).to(values.device)


def gibbs_samples(
    n: int,
    values: Float[Tensor, "batch points options"],
    bits: Sequence[int],
    total: int,
    rng: np.random.Generator,
    temperature: float | int = 1.0,
) -> Int64[Tensor, "n batch points"]:
    """Independent allocations drawn with p proportional to exp(sum of values / T).

    Every draw costs exactly `total` bits. Points are drawn first to last, each given those before.

    Args:
        n: number of draws per example, at least 1.
        values: (batch, L, O), in any unit; -inf forbids an option.
        bits: the O option costs in bits, ascending.
        total: bits to allocate per example, over all L points.
        rng: a numpy Generator.
        temperature: T > 0, in the unit of `values`.

    Returns:
        Option indices, (n, batch, L).

    Raises:
        InputError: an argument is malformed.
        NumericError: a value is NaN or +inf, or the sums overflow.
        InfeasibleBudget: no allocation of some example adds up to `total`.
    """
    draws, scale = check_whole("n", n, least=1), _inverse(temperature)
    shape, profits = prepare(values, bits, total)
    result = np.empty((draws, values.shape[0], shape.length), dtype=np.int64)
    for chunk in shape.chunks(values.shape[0]):
        part = np.ascontiguousarray(profits[:, :, chunk])
        tables = _log_tables(shape, part, scale)
        check_every_example(shape, part, tables[0].best[shape.pad], chunk.start)
        lanes, steps = np.arange(part.shape[2]), np.array(shape.steps)
        left = np.full((draws, part.shape[2]), shape.spare)
        for point in range(shape.length):
            after = tables[point + 1]
            rows = left - steps[:, None, None] + (shape.pad - shape.first(point + 1))
            sums = after.best[rows, lanes] + part[point][:, None, :]
            pick = _draw(_weights(sums, after.rest[rows, lanes], scale), rng)
            left -= steps[pick]
            result[:, chunk, point] = pick
    return torch.from_numpy(result).to(values.device)


def _log_tables(shape: Knapsack, profits: Array, scale: float) -> list[_LogTable]:
    batch = profits.shape[2]
    best = impossible(shape, shape.length, batch)
    best[shape.pad] = 0.0
    table = _LogTable(best, np.zeros_like(best))
    tables = [table]
    for point in reversed(range(shape.length)):
        after, best = table, impossible(shape, point, batch)
        rows, offset = shape.rows(point), shape.offset(point)
        window = slice(shape.pad, shape.pad + rows)
        sources = [slice(offset - step, offset - step + rows) for step in shape.steps]
        for source, profit in zip(sources, profits[point], strict=True):
            np.maximum(best[window], after.best[source] + profit, out=best[window])
        ways = np.zeros((rows, batch))
        top = np.where(best[window] > -np.inf, best[window], 0.0)
        with np.errstate(over="ignore"):
            for source, profit in zip(sources, profits[point], strict=True):
                ways += np.exp((after.best[source] + profit - top) * scale + after.rest[source])
        rest = np.zeros_like(best)
        np.log(ways, where=ways > 0, out=rest[window])
        table = _LogTable(best, rest)
        tables.append(table)
    return tables[::-1]


def _marginal(
    shape: Knapsack, profits: Array, before: _LogTable, after: _LogTable, point: int, scale: float
) -> Array:
    """(O, batch) probabilities at one point, from all ways before it and all ways after it."""
    rows, offset = shape.rows(point), shape.offset(point)
    window = slice(shape.pad, shape.pad + rows)
    # Row c of table `point` leaves c bits for this point and later; `before` counts the bits used.
    past_best, past_rest = before.best[window][::-1], before.rest[window][::-1]
    sources = [slice(offset - step, offset - step + rows) for step in shape.steps]
    sums = np.stack([past_best + after.best[source] for source in sources]) + profits[:, None, :]
    rests = np.stack([past_rest + after.rest[source] for source in sources])
    flat = (len(sources) * rows, profits.shape[1])
    weights = _weights(sums.reshape(flat), rests.reshape(flat), scale)
    by_option: Array = weights.reshape(sums.shape).sum(axis=1)
    shares: Array = by_option / by_option.sum(axis=0)
    return shares


def _weights(sums: Array, rests: Array, scale: float) -> Array:
    """exp(sums / T + rests) over axis 0, up to a factor that keeps the largest at 1."""
    with np.errstate(over="ignore"):
        logs = (sums - sums.max(axis=0)) * scale + rests
    weights: Array = np.exp(logs - logs.max(axis=0))
    return weights


def _draw(
    weights: Array, rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """One index per column of axis 0, with probability proportional to its weight."""
    ladder = weights.cumsum(axis=0)
    # Strictly above: an option of weight zero repeats the rung below it and is never drawn.
    pick: np.ndarray[tuple[int, ...], np.dtype[np.int64]] = (
        ladder <= rng.random(weights.shape[1:]) * ladder[-1]
    ).sum(axis=0)
    return pick


def _inverse(temperature: float | int) -> float:
    if not (math.isfinite(temperature) and temperature > 0 and math.isfinite(1 / temperature)):
        raise InputError(f"temperature: must be a positive finite number, got {temperature}")
    return 1 / temperature
