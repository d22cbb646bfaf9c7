"""The dynamic program that every exact result of this room is read from.

Widths are shifted by the smallest, so option o costs `steps[o]` >= 0 and the points share `spare`
bits. Row c of table l speaks of all ways in which points l, l+1, ..., L-1 use exactly c spare bits.
Only rows that lie on a way from (0, spare) to (L, 0) are kept: the table's window.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from torch import Tensor

from bitcliff.budget.totals import check_bits, check_feasible, infeasible_example
from bitcliff.errors import InputError, NumericError

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

# Small enough for a table's rows to stay in a core's cache, large enough to amortise numpy's calls.
_CHUNK = 64
_CHUNK_BYTES = 2**27


@dataclass(frozen=True)
class Knapsack:
    """The shape of the problem, without its values.

    Attributes:
        bits: option widths, ascending.
        length: number of points L.
        total: bits to allocate to all of them, exactly.
    """

    bits: tuple[int, ...]
    length: int
    total: int

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Cost of each option above the cheapest, in bits."""
        return tuple(width - self.bits[0] for width in self.bits)

    @cached_property
    def spare(self) -> int:
        """Bits to allocate above the cheapest allocation."""
        return self.total - self.length * self.bits[0]

    @property
    def pad(self) -> int:
        """Rows of "impossible" at both ends of a table, so that no look-up needs a bounds check."""
        return self.steps[-1]

    def first(self, point: int) -> int:
        """The smallest number of spare bits in the window of table `point`."""
        return max(0, self.spare - point * self.steps[-1])

    def rows(self, point: int) -> int:
        """How many rows the window of table `point` has."""
        return min(self.spare, (self.length - point) * self.steps[-1]) - self.first(point) + 1

    @cached_property
    def windows(self) -> tuple[Places, Places, Places, Places]:
        """For the compiled loop: the steps; of each table its first row where they lie one after
        another, its window's first number of spare bits, and its rows."""
        points = range(self.length + 1)
        rows = np.array([self.rows(point) for point in points])
        ends = np.cumsum(rows + 2 * self.pad)
        firsts = np.array([self.first(point) for point in points])
        return np.array(self.steps), np.concatenate([[0], ends[:-1]]), firsts, rows

    def offset(self, point: int) -> int:
        """Padded row of table point+1 that the first row of table `point` reaches at step 0."""
        return self.first(point) - self.first(point + 1) + self.pad

    def chunks(self, batch: int) -> Iterator[slice]:
        """Slices of the batch whose tables stay within a bounded share of memory."""
        one = 8 * sum(self.rows(point) + 2 * self.pad for point in range(self.length + 1))
        width = max(1, min(_CHUNK, _CHUNK_BYTES // one))
        for start in range(0, batch, width):
            yield slice(start, min(start + width, batch))


def prepare(values: Tensor, bits: object, total: object) -> tuple[Knapsack, Array]:
    """Check the arguments and bring the values, (batch, L, O), to float64 (L, O, batch) in numpy.

    Raises:
        InputError, InfeasibleBudget, NumericError: as `bitcliff.budget.solve` has it.
    """
    widths = check_bits(bits)
    if values.dim() != 3 or values.shape[1] == 0 or values.shape[2] != len(widths):
        raise InputError(
            f"values: must have shape (batch, L, {len(widths)}), L at least 1 and one column per "
            f"option width, got {tuple(values.shape)}"
        )
    length = values.shape[1]
    shape = Knapsack(widths, length, check_feasible(length, widths, total))
    # A view: the compiled loop wants an example's values side by side, as they are; numpy's steps
    # run along the batch, and are given copies of chunks.
    profits = np.ascontiguousarray(values.detach().double().cpu().numpy()).transpose(1, 2, 0)
    _check_numbers(profits)
    return shape, profits


def impossible(shape: Knapsack, point: int, batch: int) -> Array:
    """A table in which nothing can be done yet: all -inf, (rows + 2 pad, batch)."""
    return np.full((shape.rows(point) + 2 * shape.pad, batch), -np.inf)


def best_tables(shape: Knapsack, profits: Array) -> list[Array]:
    """Per table and row, the best sum of values: L+1 padded tables, (rows + 2 pad, batch) each."""
    batch = profits.shape[2]
    table = impossible(shape, shape.length, batch)
    table[shape.pad] = 0.0
    tables = [table]
    for point in reversed(range(shape.length)):
        after, table = table, impossible(shape, point, batch)
        rows, offset = shape.rows(point), shape.offset(point)
        best, scratch = table[shape.pad : shape.pad + rows], np.empty((rows, batch))
        for step, profit in zip(shape.steps, profits[point], strict=True):
            np.add(after[offset - step : offset - step + rows], profit, out=scratch)
            np.maximum(best, scratch, out=best)
        tables.append(table)
    return tables[::-1]


def check_every_example(shape: Knapsack, profits: Array, root: Array, start: int) -> None:
    """InfeasibleBudget if forbidden options leave an example without an allocation.

    Args:
        shape: the problem.
        profits: (L, O, batch).
        root: (batch,) best sum of each example, -inf where there is none.
        start: index of the first of these examples in the caller's batch.
    """
    stuck = np.flatnonzero(root == -np.inf)
    if stuck.size:
        open_ = profits[:, :, stuck[0]] > -np.inf
        allowed = [
            tuple(width for width, free in zip(shape.bits, row, strict=True) if free)
            for row in open_
        ]
        raise infeasible_example(start + int(stuck[0]), allowed, shape.total)


def _check_numbers(profits: Array) -> None:
    bad = np.isnan(profits) | (profits == np.inf)
    if bad.any():
        point, option, example = (int(i) for i in np.argwhere(bad)[0])
        raise NumericError(
            f"values: {profits[point, option, example]} at example {example}, point {point}, "
            f"option {option}; must be finite, or -inf for a forbidden option"
        )
    largest = np.abs(profits, where=profits > -np.inf, out=np.zeros_like(profits)).max(initial=0.0)
    if largest > np.finfo(np.float64).max / (2 * profits.shape[0]):
        raise NumericError(
            f"values: {largest:g} in magnitude overflows when summed over the points"
        )
