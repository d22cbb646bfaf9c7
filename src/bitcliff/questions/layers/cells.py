"""Which points are quantized and which stay in float: the cells of the layer analysis.

A cell is a set of quantized points. With the points numbered 1 to L in the order of execution:

    before k    points 1 to k are quantized        single k     point k alone
    after k     points k to L are quantized        all but k    all but point k

The paper's section 4.2 leaves open whether k belongs to "before k"; here it does, and to "after k"
too, so that each step along either curve adds point k itself. Weights are rounded as in the run in
every cell, so the cell without any point is "weights only", where every curve begins or ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass

Cell = frozenset[int]
"""Indices, from 0, of the points that are quantized."""

NOTHING: Cell = frozenset()


@dataclass(frozen=True)
class Curves:
    """The cells of each curve, for k = 1 to L."""

    before: tuple[Cell, ...]
    after: tuple[Cell, ...]
    single: tuple[Cell, ...]
    all_but: tuple[Cell, ...]

    @property
    def distinct(self) -> list[Cell]:
        """Every cell once: before 1 is single 1, after 2 is all but 1, and so on."""
        named = (*self.before, *self.after, *self.single, *self.all_but)
        return list(dict.fromkeys((NOTHING, *named)))


def curves(points: int) -> Curves:
    """The cells of a network with that many points."""
    indices = range(points)
    return Curves(
        before=tuple(frozenset(range(k + 1)) for k in indices),
        after=tuple(frozenset(range(k, points)) for k in indices),
        single=tuple(frozenset({k}) for k in indices),
        all_but=tuple(frozenset(indices) - {k} for k in indices),
    )


def range_text(indices: Iterable[int]) -> str:
    """Indices from 0 as ranges from 1: {0, 1, 2, 6} is "1-3,7"."""
    ranges: list[list[int]] = []
    for index in sorted(indices):
        if ranges and index == ranges[-1][1]:
            ranges[-1][1] = index + 1
        else:
            ranges.append([index + 1, index + 1])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
