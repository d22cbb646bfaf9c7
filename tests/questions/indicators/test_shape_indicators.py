import numpy as np
import pytest
import torch
from scipy import stats

from bitcliff.questions.indicators.shape_indicators import (
    kurtosis,
    margin_ratio,
    range_ratio,
    small_margins,
)

ROWS = torch.randn(6, 5, 40, generator=torch.Generator().manual_seed(0)).pow(3) + 2


def test_kurtosis_is_scipys() -> None:
    wanted = stats.kurtosis(ROWS.flatten(1).double().numpy(), axis=1)
    assert kurtosis(ROWS).numpy() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_a_row_of_equal_values_has_no_kurtosis(value: float) -> None:
    rows = torch.stack([torch.full((7,), value), torch.arange(7.0)])
    found = kurtosis(rows)
    assert found[0].isnan()
    assert float(found[1]) == pytest.approx(-1.25)


def test_an_outlier_shows_in_both_tails() -> None:
    rows = torch.linspace(-1, 1, 4001).repeat(2, 1)
    rows[1, 0] = -50.0
    assert kurtosis(rows)[1] > 100 > 0 > kurtosis(rows)[0]
    # The 99.9th percentile of the magnitudes, evenly spread on [0, 1], is 0.999.
    assert range_ratio(rows).tolist() == pytest.approx([1 / 0.999, 50 / 0.999], rel=1e-3)


def test_range_ratio_is_torchs_quantile() -> None:
    sizes = ROWS.flatten(1).abs().double()
    wanted = sizes.amax(1) / torch.quantile(sizes, 0.999, dim=1)
    assert range_ratio(ROWS).tolist() == pytest.approx(wanted.tolist())


def test_a_row_of_zeros_has_no_range_ratio() -> None:
    rows = torch.zeros(2, 3000)
    rows[1, 5] = 1.0
    assert range_ratio(rows).isnan().all()


def test_margins_counted_by_hand() -> None:
    margins = torch.tensor([0.1, 0.9, 2.0, 4.0, 5.0, 6.0, 0.2, 8.0, 9.0])
    # The median is 4, the quartiles 0.9 and 6; three lie below 1.
    assert margin_ratio(margins) == pytest.approx(4 / (6 - 0.9))
    assert small_margins(margins) == pytest.approx(100 * 3 / 9)


def test_margins_that_are_all_alike_have_no_ratio() -> None:
    assert np.isnan(margin_ratio(torch.ones(5)))
    assert small_margins(torch.ones(5)) == 0
