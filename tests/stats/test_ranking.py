import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from bitcliff.errors import InputError
from bitcliff.stats import auroc

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (4, 8), (6, 12), (15, 3)])
def test_the_area_is_scikit_learns(m: int, n: int, ties: bool) -> None:
    above, below = RNG.normal(0.5, 1, m), RNG.normal(0, 1, n)
    if ties:
        above, below = above.round(), below.round()
    found = auroc(above.tolist(), below.tolist())
    labels = [1] * m + [0] * n
    assert found.value == pytest.approx(roc_auc_score(labels, [*above, *below]), abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1
    wins = stats.mannwhitneyu(above, below).statistic
    assert found.value == pytest.approx(wins / (m * n), abs=1e-12)


@pytest.mark.parametrize(("m", "n"), [(4, 8), (6, 12), (3, 3)])
def test_the_limits_are_where_the_score_test_turns(m: int, n: int) -> None:
    """Newcombe's interval is all that the test does not reject: looked for on a grid."""
    above, below = RNG.normal(1, 1, m), RNG.normal(0, 1, n)
    found = auroc(above.tolist(), below.tolist())
    theta = np.linspace(1e-6, 1 - 1e-6, 200_001)
    q1, q2 = theta / (2 - theta), 2 * theta**2 / (1 + theta)
    # Hanley and McNeil's own formula, with both groups of the mean size.
    size = (m + n) / 2
    variance = (
        theta * (1 - theta) + (size - 1) * (q1 - theta**2) + (size - 1) * (q2 - theta**2)
    ) / (m * n)
    kept = theta[np.abs(found.value - theta) <= 1.959963985 * np.sqrt(variance)]
    assert found.low == pytest.approx(kept[0], abs=1e-5)
    assert found.high == pytest.approx(kept[-1], abs=1e-5)


def test_exchanging_the_groups_mirrors_all() -> None:
    above, below = RNG.normal(1, 1, 5).tolist(), RNG.normal(0, 1, 9).tolist()
    one, other = auroc(above, below), auroc(below, above)
    assert (one.value, one.low, one.high) == pytest.approx(
        (1 - other.value, 1 - other.high, 1 - other.low)
    )


def test_perfect_separation_keeps_an_interval() -> None:
    found = auroc([10.0, 11.0, 12.0, 13.0], [float(place) for place in range(8)])
    assert (found.value, found.high) == (1, 1)
    assert 0.6 < found.low < 0.8


@pytest.mark.slow
@pytest.mark.parametrize(("m", "n"), [(4, 8), (6, 12)])
@pytest.mark.parametrize("truth", [0.5, 0.8, 0.95])
def test_the_interval_covers_the_truth(m: int, n: int, truth: float) -> None:
    """Normal groups, 400 times: 95 % nominal, and no less than 92 % seen."""
    rng = np.random.default_rng(7)
    shift = stats.norm.ppf(truth) * math.sqrt(2)
    covered = 0
    for _ in range(400):
        found = auroc(rng.normal(shift, 1, m).tolist(), rng.normal(0, 1, n).tolist())
        covered += found.low <= truth <= found.high
    assert covered / 400 >= 0.92


def test_a_group_without_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="negatives: must hold finite values"):
        auroc([1.0], [])
    with pytest.raises(InputError, match="positives: must hold finite values"):
        auroc([math.nan], [1.0])
    with pytest.raises(InputError, match="confidence"):
        auroc([1.0], [2.0], confidence=1.0)
