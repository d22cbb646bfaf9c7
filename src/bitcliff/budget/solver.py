"""The best allocations of an exact total of bits: a multiple-choice knapsack with equality."""

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from bitcliff.budget.tables import Array, Knapsack, best_tables, check_every_example, prepare
from bitcliff.budget.totals import check_bits, check_whole, first_options
from bitcliff.compiled import Loops, loops_in
from bitcliff.errors import InfeasibleBudget

Choices = npt.NDArray[np.int64]
Prefix = tuple[int, ...]


def solve(
    values: Float[Tensor, "batch points options"],
    bits: Sequence[int],
    total: int,
    k: int | None = None,
) -> Int64[Tensor, "batch *best_and_points"]:
    """The allocation of each example that maximises its sum of values at exactly `total` bits.

    The multiple-choice knapsack of arXiv 2510.02457 (section 3.4, equations 11 to 14), with the
    budget met exactly: a dynamic program in float64. Examples do not depend on each other.

    Ties go to the lowest width at the first point where the tied allocations differ, that is to the
    lexicographically smallest row of widths. Sums are taken from the last point to the first; a tie
    is exact wherever float64 holds these sums exactly, as for integers below 2^53 / L, or float32
    values that lie within a factor of 2^22 of each other (L up to 128).

    Args:
        values: (batch, L, O), in any unit; -inf forbids an option.
        bits: the O option costs in bits, ascending; they need not be consecutive.
        total: bits to allocate per example, over all L points.
        k: how many of the best distinct allocations to return, or None for the best alone.

    Returns:
        Option indices, (batch, L), or (batch, k, L), best first, if `k` is given; on the device of
        `values`.

    Raises:
        InputError: `bits`, `total`, `k` or the shape of `values` is malformed.
        NumericError: a value is NaN or +inf, or the sums overflow.
        InfeasibleBudget: no allocation of some example adds up to `total`, or fewer than `k` do;
            the text says which totals are feasible, or how many allocations there are.
    """
    count = 1 if k is None else check_whole("k", k, least=1)
    shape, profits = prepare(values, bits, total)
    size = profits.size * (shape.spare + 1)
    if k is None and (loops := loops_in("bitcliff.budget.loops", size)) is not None:
        return torch.from_numpy(_by_loops(loops, shape, profits)).to(values.device)
    chosen = np.empty((values.shape[0], count, shape.length), dtype=np.int64)
    for chunk in shape.chunks(values.shape[0]):
        part = np.ascontiguousarray(profits[:, :, chunk])
        tables = best_tables(shape, part)
        check_every_example(shape, part, tables[0][shape.pad], chunk.start)
        if k is None:
            chosen[chunk, 0] = _descend(shape, part, tables)[0]
        else:
            chosen[chunk] = _best_k(shape, part, tables, k, chunk.start)
    result = torch.from_numpy(chosen).to(values.device)
    return result[:, 0] if k is None else result


def forbid_below(
    values: Float[Tensor, "batch points options"], bits: Sequence[int], floors: Sequence[int]
) -> Float[Tensor, "batch points options"]:
    """The same values, with -inf for every width below its point's floor.

    So `solve`, `marginals` and `gibbs_samples` keep the floors.

    Args:
        values: (batch, L, O). bits: the O option widths. floors: the least width at each point.

    Raises:
        InputError: not one floor for each point. InfeasibleBudget: one above the largest width.
    """
    firsts = first_options(values.shape[1], check_bits(bits), floors)
    below = torch.arange(len(bits)) < torch.tensor(firsts)[:, None]
    return values.masked_fill(below.to(values.device), float("-inf"))


def _by_loops(loops: Loops, shape: Knapsack, profits: Array) -> Choices:
    """The best allocation of each example, (batch, L)."""
    chosen: Choices
    chosen, sums = loops.whole("best", profits.transpose(2, 0, 1), *shape.windows, shape.spare)
    check_every_example(shape, profits, sums, 0)
    return chosen


def _descend(
    shape: Knapsack, profits: Array, tables: list[Array], prefixes: list[Prefix] | None = None
) -> tuple[Choices, Array]:
    """Read off the best allocation of each example, first point first, behind a given prefix.

    Returns the choices, (batch, L), and for every point and option the best sum after turning off
    there, (L, O, batch).
    """
    batch = profits.shape[2]
    lanes, steps = np.arange(batch), np.array(shape.steps)[:, None]
    chosen = np.empty((batch, shape.length), dtype=np.int64)
    sums = np.empty_like(profits)
    left, gained = np.full(batch, shape.spare), np.zeros(batch)
    for point in range(shape.length):
        rows = left - steps + (shape.pad - shape.first(point + 1))
        np.add(tables[point + 1][rows, lanes], profits[point], out=sums[point])
        # argmax takes the first of equals, and widths ascend: the tie rule of `solve`.
        pick = sums[point].argmax(axis=0)
        for lane, prefix in enumerate(prefixes or ()):
            if point < len(prefix):
                pick[lane] = prefix[point]
        sums[point] += gained
        gained += profits[point][pick, lanes]
        left -= steps[pick, 0]
        chosen[:, point] = pick
    return chosen, sums


def _best_k(
    shape: Knapsack, profits: Array, tables: list[Array], k: int, start: int
) -> npt.NDArray[np.int64]:
    """The k best of each example, (batch, k, L), by Lawler's partition of what is left.

    Each candidate is a prefix: it stands for all allocations that begin with it. Taking its best
    one splits the rest of its set by the point where they first turn off. The sets are disjoint, so
    no prefix starts with another and comparing prefixes compares the allocations behind them.

    Source: E. L. Lawler, Management Science 18(7), 1972.
    """
    batch = profits.shape[2]
    heaps: list[list[tuple[float, Prefix]]] = [[(0.0, ())] for _ in range(batch)]
    found = np.empty((batch, k, shape.length), dtype=np.int64)
    for rank in range(k):
        for lane, heap in enumerate(heaps):
            if not heap:
                raise InfeasibleBudget(
                    f"k: {k} allocations asked for, but example {start + lane} has only {rank} "
                    f"at total {shape.total}"
                )
        prefixes = [heapq.heappop(heap)[1] for heap in heaps]
        chosen, sums = _descend(shape, profits, tables, prefixes)
        found[:, rank] = chosen
        for lane, (heap, prefix) in enumerate(zip(heaps, prefixes, strict=True)):
            _push_turnoffs(heap, chosen[lane], sums[:, :, lane], len(prefix), k - rank - 1)
    return found


def _push_turnoffs(
    heap: list[tuple[float, Prefix]], chosen: Choices, sums: Array, depth: int, count: int
) -> None:
    # Beyond the best `count` of them (and their equals) no turn-off can ever be popped.
    rest = sums.copy()
    rest[:depth] = -np.inf
    rest[np.arange(len(chosen)), chosen] = -np.inf
    if count == 0:
        return
    floor = -np.inf if count >= rest.size else np.partition(rest, -count, axis=None)[-count]
    path = tuple(chosen.tolist())
    for point, option in np.argwhere((rest >= floor) & (rest > -np.inf)).tolist():
        heapq.heappush(heap, (-float(rest[point, option]), (*path[:point], option)))
