"""Against numpy and scipy, and by hand."""

import numpy as np
import pytest
import scipy.stats
import torch

from bitcliff.quant import Scheme, fake_quantize
from bitcliff.questions.activations.row_statistics import (
    LIMIT_DB,
    Bins,
    collapsed,
    histogram,
    sqnr_db,
    tails,
    unequal,
)

ONNX = Scheme("onnx")


def heavy(rows: int = 5, wide: int = 3000) -> torch.Tensor:
    """Student's t with three degrees of freedom: outliers of both signs."""
    drawn = np.random.default_rng(0).standard_t(3, (rows, wide))
    return torch.from_numpy(drawn).float()


@pytest.mark.parametrize(("low", "high"), [(0.0, 7.0), (-3.0, 8.0), (-5.0, 0.0)])
def test_histograms_are_numpys(low: float, high: float) -> None:
    values = (low + (high - low) * torch.rand(4, 1000, generator=torch.manual_seed(0))).double()
    bins = Bins.over(low, high)
    edges = (bins.first - 0.5 + np.arange(bins.count + 1)) * bins.width
    assert edges[0] <= low
    assert edges[-1] >= high
    assert edges[-bins.first] == pytest.approx(-edges[-bins.first + 1])
    assert histogram(values, bins).tolist() == np.histogram(values, edges)[0].tolist()


def test_values_beyond_the_range_count_at_its_ends() -> None:
    bins = Bins.over(-10.0, 10.0)
    counts = histogram(torch.tensor([[-99.0, 0.0, 0.1, 99.0, 98.0]]), bins)
    assert counts[[0, -bins.first, -1]].tolist() == [1, 2, 2]
    assert counts.sum() == 5


def test_a_point_of_zeros_has_one_bin() -> None:
    bins = Bins.over(0.0, 0.0)
    assert histogram(torch.zeros(2, 3), bins).tolist() == [6]


def test_kurtosis_is_scipys() -> None:
    values = heavy()
    expected = scipy.stats.kurtosis(values.double().numpy(), axis=1)
    assert tails(values, ONNX)["kurtosis"].numpy() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("wide", [1, 2, 64, 1000, 3000])
def test_the_peak_is_over_numpys_lower_percentile(wide: int) -> None:
    values = heavy(wide=wide)
    size = values.abs().double().numpy()
    expected = size.max(1) / np.percentile(size, 99.9, axis=1, method="lower")
    assert tails(values, ONNX)["peak"].numpy() == pytest.approx(expected, rel=1e-12)


def test_one_outlier_in_a_short_row_counts() -> None:
    values = torch.ones(1, 64)
    values[0, 5] = -50.0
    assert float(tails(values, ONNX)["peak"]) == 50


def test_the_constant_part_is_the_means() -> None:
    values = heavy() + 3
    wide = values.double().numpy()
    expected = 10 * np.log10((wide**2).mean(1) / wide.var(1))
    assert tails(values, ONNX)["constant_db"].numpy() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("scheme", "low", "high", "offset"),
    [
        ("onnx", 9.0, 10.0, 0.9),
        ("onnx", -10.0, -9.0, 0.9),
        ("onnx", -1.0, 9.0, 0.0),
        ("onnx", 0.0, 9.0, 0.0),
        ("paper", 9.0, 10.0, 0.0),
        ("paper", -10.0, -9.0, 0.0),
        ("percentile(99)", 9.0, 10.0, 0.0),
    ],
)
def test_the_offset_is_the_empty_part_of_the_grid(
    scheme: str, low: float, high: float, offset: float
) -> None:
    values = torch.linspace(low, high, 5001)[None]
    found = tails(values, Scheme.parse(scheme))["offset"]
    assert float(found) == pytest.approx(offset, abs=0.002)


def test_one_stray_value_does_not_hide_an_offset() -> None:
    values = torch.linspace(9.0, 10.0, 5001)[None].clone()
    values[0, 17] = 0.0
    assert float(tails(values, ONNX)["offset"]) == pytest.approx(0.9, abs=0.002)


def test_a_stray_value_across_zero_is_no_offset() -> None:
    values = torch.linspace(1.0, 2.0, 5001)[None].clone()
    values[0, 17] = -30.0
    found = tails(values, ONNX)
    assert float(found["offset"]) < 0.05
    assert float(found["peak"]) > 10


def test_equal_values_have_no_tails() -> None:
    found = tails(torch.tensor([[0.0, 0.0], [3.0, 3.0]]), ONNX)
    assert found["kurtosis"].isnan().all()
    assert found["peak"].isnan().tolist() == [True, False]
    assert found["constant_db"].tolist() == [0, 0]
    assert found["offset"].tolist() == [0, 0]


def test_signal_to_noise_is_the_formula() -> None:
    values = heavy()
    rounded = fake_quantize(values, 5)
    x, error = values.double().numpy(), (rounded.double() - values.double()).numpy()
    expected = 10 * np.log10((x**2).sum(1) / (error**2).sum(1))
    assert sqnr_db(values, rounded).numpy() == pytest.approx(expected, rel=1e-12)


def test_signal_to_noise_has_limits() -> None:
    signal = torch.tensor([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    found = torch.tensor([[1.0, 2.0], [0.0, 0.0], [0.0, 1.0]])
    assert sqnr_db(signal, found).tolist() == [LIMIT_DB, LIMIT_DB, -LIMIT_DB]


def test_collapsed_is_a_literal_count() -> None:
    values = torch.tensor([[0.0, 1.0, 2.0, -3.0, 40.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    rounded = torch.tensor([[0.0, 0.0, 0.0, -3.0, 40.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    found = collapsed(values, rounded)
    assert float(found[0]) == 0.5
    assert found[1].isnan()


def test_channels_and_tokens_by_hand() -> None:
    """Of ten channels two are a hundredth as large, and one is zero; all are off by 0.02."""
    values = torch.ones(1, 10, 8)
    values[0, :2], values[0, 2] = 0.01, 0.0
    values[0, 9] = 3.0
    rounded = values + 0.02 * (values > 0)
    found = unequal(values, rounded)
    assert float(found["channels_lost"]) == pytest.approx(2 / 9)
    assert float(found["channel_ratio"]) == pytest.approx(300, rel=1e-6)
    assert float(found["tokens_lost"]) == 0
    assert float(found["token_ratio"]) == pytest.approx(1)
    few = unequal(values[:, :, :7], rounded[:, :, :7])
    assert float(few["tokens_lost"]) == 0
    alone = unequal(values[:, :1], rounded[:, :1])
    nothing = unequal(torch.zeros(1, 3, 9), torch.zeros(1, 3, 9))
    for found in (few, alone, nothing):
        assert all(bool(torch.isnan(found[key])) for key in ("channels_lost", "channel_ratio"))
