"""The solver in the graph chooses as `bitcliff.budget.solve`, ties included."""

import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from bitcliff.budget import solve
from bitcliff.errors import InfeasibleBudget
from bitcliff.export import to_onnx
from bitcliff.export.solver import solve_literally


class _Solver(nn.Module):
    def __init__(self, bits: tuple[int, ...], total: int) -> None:
        super().__init__()
        self.bits, self.total = bits, total

    def forward(self, *values: Tensor) -> Tensor:
        return solve_literally(values[0], self.bits, self.total)


def tables(points: int, options: int) -> Tensor:
    """Two thousand, among them many with ties."""
    rng = torch.Generator().manual_seed(points)
    values = torch.rand(2000, points, options, generator=rng).softmax(2)
    values[500:1000] = (values[500:1000] * 8).round() / 8
    values[1000:1200] = 0.125
    values[1200:1500] = torch.randint(0, 3, (300, points, options), generator=rng).float()
    return values


@pytest.mark.parametrize(
    ("points", "bits", "total"),
    [
        (8, tuple(range(3, 11)), 44),  # a graph of 20 takes three times as long to write
        (5, (2, 3, 5, 8), 22),
        (5, (2, 3, 5, 8), 10),
        (5, (2, 3, 5, 8), 40),
        (1, (3, 8), 8),
        (7, (2,), 14),
    ],
)
def test_it_chooses_alike(points: int, bits: tuple[int, ...], total: int) -> None:
    values = tables(points, len(bits))
    expected = solve(values, bits, total)
    assert torch.equal(solve_literally(values, bits, total), expected)
    session = ort.InferenceSession(to_onnx(_Solver(bits, total), {"values": values}))
    (found,) = session.run(None, {"values": values.numpy()})
    assert torch.equal(torch.from_numpy(found), expected)


@pytest.mark.parametrize("total", [60, 200])
def test_of_many_points_it_chooses_the_least_and_the_most(total: int) -> None:
    """Before it is in a graph, which of so many takes long to write."""
    values, bits = tables(20, 8), tuple(range(3, 11))
    assert torch.equal(solve_literally(values, bits, total), solve(values, bits, total))


def test_a_total_that_no_allocation_has_is_refused() -> None:
    with pytest.raises(InfeasibleBudget):
        solve_literally(torch.ones(2, 3, 2), (2, 4), 7)
