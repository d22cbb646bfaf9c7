"""The dynamic program of one example after another, in plain Python that is compiled.

Sums are those of numpy's operations in `tables.py` and `solver.py`, term by term, and the first of
equal ones is taken, so that the allocations are the same ones.
"""

from typing import Any

import numpy as np


def greater(one: Any, other: Any) -> Any:
    """Of two numbers."""
    return one if one > other else other


def best(values: Any, steps: Any, starts: Any, firsts: Any, rows: Any, spare: int) -> Any:
    """The best allocation of each example, and its sum, -inf where there is none.

    Args:
        values: (batch, L, O). starts: each table's first row where they lie one after another, with
            `steps[-1]` rows in which nothing can be done at both ends; firsts: the spare bits of
            its window's first row; rows: how many the window has.
    """
    batch, length, options = values.shape
    pad = steps[-1]
    chosen, sums = np.empty((batch, length), np.int64), np.empty(batch)
    table = np.empty(starts[length] + rows[length] + 2 * pad)
    for example in range(batch):
        table[:] = -np.inf
        table[starts[length] + pad] = 0.0
        for point in range(length - 1, -1, -1):
            into = table[starts[point] + pad : starts[point] + pad + rows[point]]
            first = starts[point + 1] + pad + firsts[point] - firsts[point + 1]
            value = values[example, point]
            # Four options at a time, for then a row is read and written for four sums.
            quads = options - options % 4
            for option in range(0, quads, 4):
                one, two, three, four = option, option + 1, option + 2, option + 3
                a = table[first - steps[one] : first - steps[one] + rows[point]]
                b = table[first - steps[two] : first - steps[two] + rows[point]]
                c = table[first - steps[three] : first - steps[three] + rows[point]]
                d = table[first - steps[four] : first - steps[four] + rows[point]]
                v, w, x, y = value[one], value[two], value[three], value[four]
                for row in range(len(into)):
                    found = greater(
                        greater(a[row] + v, b[row] + w), greater(c[row] + x, d[row] + y)
                    )
                    into[row] = greater(found, into[row])
            for option in range(quads, options):
                after = table[first - steps[option] : first - steps[option] + rows[point]]
                for row in range(len(into)):
                    into[row] = greater(after[row] + value[option], into[row])
        sums[example] = table[starts[0] + pad]
        left = spare
        for point in range(length):
            base = starts[point + 1] + pad + left - firsts[point + 1]
            most, pick = -np.inf, 0
            for option in range(options):
                found = table[base - steps[option]] + values[example, point, option]
                if found > most:
                    most, pick = found, option
            chosen[example, point] = pick
            left -= steps[pick]
    return chosen, sums
