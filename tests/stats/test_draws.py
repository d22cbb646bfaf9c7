"""The draw that stands for all: the lower median, first of equals."""

import statistics

import numpy as np
import pytest

from bitcliff.errors import InputError
from bitcliff.stats import median_index


@pytest.mark.parametrize(
    ("values", "index"),
    [([3.0], 0), ([2.0, 1.0], 1), ([5.0, 1.0, 3.0], 2), ([2.0, 1.0, 2.0, 2.0], 0)],
)
def test_by_hand(values: list[float], index: int) -> None:
    assert median_index(values) == index


@pytest.mark.parametrize("seed", range(30))
def test_agrees_with_the_standard_library(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, rng.integers(1, 25)).astype(float).tolist()
    assert median_index(values) == values.index(statistics.median_low(values))


def test_no_median_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        median_index([])
    with pytest.raises(InputError, match="NaN"):
        median_index([1.0, float("nan")])
