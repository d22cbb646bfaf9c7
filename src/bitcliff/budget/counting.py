"""How many allocations a total leaves open, exactly, and uniform samples of them."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int64
from torch import Tensor

from bitcliff.budget.tables import Knapsack
from bitcliff.budget.totals import check_bits, check_feasible, check_whole, first_options

Counts = npt.NDArray[np.object_]


def count_allocations(
    L: int, bits: Sequence[int], total: int, floors: Sequence[int] | None = None
) -> int:
    """How many allocations of `L` points add up to exactly `total` bits; 0 if none does.

    The coefficient of x^spare in (sum over options of x^step)^L, by Euler's recurrence for a power
    of a polynomial, in exact integers (divided by its constant term, for options that are as cheap
    as the cheapest); with floors, where the points differ, by the table that
    sampling uses.

    Args:
        L: number of quantization points, at least 1.
        bits: option costs in bits, ascending.
        total: bits over all points.
        floors: the least width at each point; None: every option everywhere.

    Raises:
        InputError: an argument is malformed.
    """
    widths = check_bits(bits)
    length = check_whole("L", L, least=1)
    spare = check_whole("total", total) - length * widths[0]
    if not 0 <= spare <= length * (widths[-1] - widths[0]):
        return 0
    if floors is not None:
        shape = Knapsack(widths, length, total)
        ways: int = _count_tables(shape, first_options(length, widths, floors))[0][shape.pad]
        return ways
    steps = [width - widths[0] for width in widths if width > widths[0]]
    cheapest = len(widths) - len(steps)
    coefficients: list[int] = [cheapest**length]
    for c in range(1, spare + 1):
        terms = ((step * (length + 1) - c) * coefficients[c - step] for step in steps if step <= c)
        coefficients.append(sum(terms) // (c * cheapest))
    return coefficients[spare]


def freedom_log2(
    L: int, bits: Sequence[int], total: int, floors: Sequence[int] | None = None
) -> float:
    """The policy freedom: log2 of how many allocations meet the total; 0.0 when exactly one does.

    Args:
        L: number of quantization points, at least 1.
        bits: option costs in bits, ascending.
        total: bits over all points.
        floors: the least width at each point; None: every option everywhere.

    Raises:
        InputError: an argument is malformed.
        InfeasibleBudget: no allocation meets the total; the text says which totals are feasible.
    """
    count = count_allocations(L, bits, total, floors)
    if count == 0:
        check_feasible(L, check_bits(bits), total, floors)
    return math.log2(count)


def sample_allocations(
    n: int,
    L: int,
    bits: Sequence[int],
    total: int,
    rng: np.random.Generator,
    floors: Sequence[int] | None = None,
) -> Int64[Tensor, "n points"]:
    """Independent draws, exactly uniform over all allocations that add up to `total` bits.

    Each draw is a rank, uniform over the exact count, turned into the allocation of that rank in
    lexicographic order: integers throughout, so there is no rounding to bias it.

    Args:
        n: number of draws, at least 1.
        L: number of quantization points, at least 1.
        bits: option costs in bits, ascending.
        total: bits over all points.
        rng: a numpy Generator; the first draws do not depend on `n`.
        floors: the least width at each point; None: every option everywhere.

    Returns:
        Option indices, (n, L).

    Raises:
        InputError: an argument is malformed.
        InfeasibleBudget: no allocation meets the total; the text says which totals are feasible.
    """
    draws = check_whole("n", n, least=1)
    widths = check_bits(bits)
    length = check_whole("L", L, least=1)
    shape = Knapsack(widths, length, check_feasible(length, widths, total, floors))
    firsts = first_options(length, widths, floors)
    tables = _count_tables(shape, firsts)
    count = tables[0][shape.pad]
    ranked = [_unrank(_below(rng, count), shape, firsts, tables) for _ in range(draws)]
    return torch.tensor(ranked, dtype=torch.int64)


def _count_tables(shape: Knapsack, firsts: tuple[int, ...]) -> list[Counts]:
    """Per table and row, the number of ways, in Python integers: L+1 tables, (rows + 2 pad,).

    `firsts`: for each point the first option that it may take.
    """
    table = np.zeros(1 + 2 * shape.pad, dtype=object)
    table[shape.pad] = 1
    tables = [table]
    for point in reversed(range(shape.length)):
        after, rows, offset = table, shape.rows(point), shape.offset(point)
        table = np.zeros(rows + 2 * shape.pad, dtype=object)
        for step in shape.steps[firsts[point] :]:
            table[shape.pad : shape.pad + rows] += after[offset - step : offset - step + rows]
        tables.append(table)
    return tables[::-1]


def _unrank(rank: int, shape: Knapsack, firsts: tuple[int, ...], tables: list[Counts]) -> list[int]:
    left, allocation = shape.spare, []
    for point in range(shape.length):
        after, zero = tables[point + 1], left - shape.first(point + 1) + shape.pad
        for option in range(firsts[point], len(shape.steps)):
            step = shape.steps[option]
            ways = after[zero - step]
            if rank < ways:
                allocation.append(option)
                left -= step
                break
            rank -= ways
    return allocation


def _below(rng: np.random.Generator, bound: int) -> int:
    """A uniform integer in [0, bound), of any size, by rejection."""
    digits = (bound - 1).bit_length()
    size = (digits + 7) // 8
    while True:
        draw = int.from_bytes(rng.bytes(size), "little") >> (8 * size - digits)
        if draw < bound:
            return draw
