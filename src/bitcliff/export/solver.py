"""`bitcliff.budget.solve` in operations that a graph has words for: same sums, same ties."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from bitcliff.budget.totals import check_bits, check_feasible


def solve_literally(
    values: Float[Tensor, "batch points options"], bits: Sequence[int], total: int
) -> Int64[Tensor, "batch points"]:
    """Option indices of each example's best allocation of exactly `total` bits.

    The dynamic program of `bitcliff.budget.solver`, unrolled over the points, in float64 and in its
    order of summation. Values must be finite or -inf: nothing can be refused in a graph.

    Raises:
        InputError, InfeasibleBudget: of `bits` and `total`, while the graph is made.
    """
    points, widths = values.shape[1], check_bits(bits)
    spare = check_feasible(points, widths, total) - points * widths[0]
    steps, largest = torch.tensor(widths) - widths[0], widths[-1] - widths[0]
    profits = values.double()
    # Column c + largest of a table is the best sum of the points from there on at c spare bits. The
    # columns before are "impossible", so that no look-up needs a bounds check.
    nowhere = profits.new_full((profits.shape[0], largest), -math.inf)
    reached = torch.arange(spare + 1)[:, None] + largest - steps
    table = profits.new_full((profits.shape[0], spare + 1), -math.inf)
    table[:, 0] = 0.0
    tables = [torch.cat([nowhere, table], 1)]
    for point in reversed(range(points)):
        best = (tables[0][:, reached] + profits[:, point, None]).amax(2)
        tables.insert(0, torch.cat([nowhere, best], 1))
    chosen = []
    left = torch.full_like(profits[:, 0, 0], spare, dtype=torch.int64)
    for point in range(points):
        sums = tables[point + 1].gather(1, left[:, None] + largest - steps) + profits[:, point]
        # The first of equals, and widths ascend: ties go to the lowest.
        pick = sums.argmax(1)
        left = left - steps[pick]
        chosen.append(pick)
    return torch.stack(chosen, 1)
