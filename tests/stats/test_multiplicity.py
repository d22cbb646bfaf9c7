"""Holm against statsmodels."""

import numpy as np
import pytest

from bitcliff.errors import InputError
from bitcliff.stats import holm
from tests.multitest import holm_by_statsmodels


@pytest.mark.parametrize("seed", range(50))
def test_agrees_with_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Cubed, so that some survive; rounded, so that some tie.
    p_values = np.round(rng.random(rng.integers(1, 30)) ** 3, 2).tolist()
    assert holm(p_values) == pytest.approx(holm_by_statsmodels(p_values))


def test_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_no_test_no_value() -> None:
    assert holm([]) == []


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(p: float) -> None:
    with pytest.raises(InputError, match="number 1"):
        holm([0.5, p])
