"""Rows keep each example's values; quantiles are numpy's."""

import numpy as np
import pytest
import torch

from bitcliff.quant.rows import as_rows, from_rows, row_quantile, row_range
from bitcliff.types.scheme import Scheme


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (1, 2, 3, 0), (3, 2, 1, 0)])
def test_rows_hold_each_example_and_go_back(order: tuple[int, ...]) -> None:
    x = torch.arange(120.0).reshape(2, 3, 4, 5)
    inverse = sorted(range(4), key=order.__getitem__)
    laid = x.permute(order).contiguous().permute(inverse)
    rows, dims = as_rows(laid)
    assert torch.equal(rows.sort(1).values, x.flatten(1))
    assert torch.equal(from_rows(rows, laid, dims), x)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1001])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.3, 0.5, 0.95, 0.9995, 1.0])
def test_quantiles_are_numpys(share: float, size: int) -> None:
    rows = torch.randn(6, size, generator=torch.Generator().manual_seed(size))
    expected = np.quantile(rows.double().numpy(), share, axis=1)
    assert np.allclose(row_quantile(rows, share).numpy(), expected, rtol=2e-7, atol=1e-9)
    exact = row_quantile(rows.double(), share).numpy()
    assert np.allclose(exact, expected, rtol=1e-15, atol=1e-15)


def test_a_quantile_between_the_largest_numbers_is_finite() -> None:
    rows = torch.tensor([[-3.4e38, 3.4e38]])
    assert row_quantile(rows, 0.5).item() == 0
    wide = torch.tensor([[-1.7e308, 1.7e308]], dtype=torch.float64)
    assert row_quantile(wide, 0.5).item() == 0


def test_ranges_of_the_presets() -> None:
    rows = torch.tensor([[1.0, 2.0, 3.0], [-3.0, -2.0, -1.0], [-1.0, 0.0, 2.0]])
    low, high = row_range(rows, Scheme("paper"))
    assert low.tolist() == [1, -3, -1]
    assert high.tolist() == [3, -1, 2]
    low, high = row_range(rows, Scheme("onnx"))
    assert low.tolist() == [0, -3, -1]
    assert high.tolist() == [3, 0, 2]
    low, high = row_range(rows, Scheme("percentile", 80.0))
    assert torch.allclose(low, torch.tensor([1.2, -2.8, -0.8]))
    assert torch.allclose(high, torch.tensor([2.8, -1.2, 1.6]))


@pytest.mark.parametrize("scheme", ["paper", "onnx", "percentile(90)"])
def test_a_range_shows_that_its_row_is_not_finite(scheme: str) -> None:
    rows = torch.tensor([[1.0, float("nan"), 2.0], [1.0, float("inf"), 2.0], [1.0, 0.0, 2.0]])
    low, high = row_range(rows, Scheme.parse(scheme))
    assert (torch.isfinite(low) & torch.isfinite(high)).tolist() == [False, False, True]
