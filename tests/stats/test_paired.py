"""McNemar against another library; the interval of a change by exact sums over the trinomial."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from bitcliff.errors import InputError
from bitcliff.stats import change_between, mcnemar, paired_change, paired_difference

Array = npt.NDArray[np.float64]


@pytest.mark.parametrize("b", range(0, 16, 3))
@pytest.mark.parametrize("c", [0, 1, 5, 12, 60])
def test_mcnemar_agrees_with_statsmodels(b: int, c: int) -> None:
    reference = reference_mcnemar([[4, b], [c, 9]], exact=True).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(reference, rel=1e-10)


def test_a_change_is_counted_example_by_example() -> None:
    before = np.array([True, True, True, False, False, True])
    after = np.array([True, False, False, True, False, True])
    assert change_between(before, after) == paired_change(6, lost=2, gained=1)
    assert change_between(after, before, 0.99) == paired_change(
        6, lost=1, gained=2, confidence=0.99
    )


def test_mcnemar_by_hand() -> None:
    # 1 and 7 discordant: 2 * (1 + 8) / 2^8, the exact conditional p-value of Fagerland et al.
    assert mcnemar(1, 7) == 18 / 256
    assert mcnemar(0, 0) == 1.0


def test_interval_by_hand() -> None:
    # Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014), airway data: n = 21, 1 and 7
    # discordant. Exact McNemar has p = 0.070, so that no change must lie within.
    up, down = exact(7, 21).high - 7 / 21, 1 / 21 - exact(1, 21).low
    odds = exact(7, 21).high / (1 - exact(7, 21).high) * (2 / 22) / (20 / 22)
    most = 6 / 21 + math.sqrt(up**2 + down**2 + 2 * up * down * math.sqrt(odds))
    value, low, high = paired_difference(21, 7, 1)
    assert (value, low) == pytest.approx((-6 / 21, -most))
    assert high > 0


def exact(k: int, n: int) -> Any:
    """Both limits of Clopper and Pearson, by scipy."""
    return stats.binomtest(k, n).proportion_ci()


@pytest.mark.parametrize("n", [1, 2, 3, 20])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_every_table_has_an_interval(n: int, confidence: float) -> None:
    for lost in range(n + 1):
        for gained in range(n + 1 - lost):
            value, low, high = paired_difference(n, lost, gained, confidence)
            mirrored = paired_difference(n, gained, lost, confidence)
            assert -1 <= low <= value <= high <= 1
            assert value == (gained - lost) / n
            assert mirrored == pytest.approx((-value, -high, -low), abs=1e-12)
            assert low < high


@pytest.mark.parametrize("n", [1, 10, 1000])
def test_where_nothing_was_gained_the_most_that_is_lost_is_exact(n: int) -> None:
    for lost in {0, 1, n // 2, n - 1, n}:
        assert -paired_difference(n, lost, 0)[1] == pytest.approx(exact(lost, n).high)
    assert paired_difference(n, 0, 0)[2] == pytest.approx(exact(0, n).high)


def test_near_an_extreme_the_limits_are_continuous() -> None:
    n = 10**6
    for lost, gained in ((1, 0), (n - 1, 0)):
        _, low, high = paired_difference(n, lost, gained)
        _, other_low, other_high = paired_difference(n, lost + (1 if lost > 1 else -1), gained)
        assert abs(low - other_low) < 5e-6
        assert abs(high - other_high) < 5e-6


def _lows(n: int, confidence: float) -> list[Array]:
    """By the gained, the low limits as the lost increase."""
    return [
        np.array([paired_difference(n, lost, g, confidence)[1] for lost in range(n + 1 - g)])
        for g in range(n + 1)
    ]


def _wrong(lows: list[Array], lost: Array, gained: float) -> Array:
    """The chance that `low` is above the true change, for each true share of lost examples.

    Summed exactly: of those not gained, the lost are binomial, and `low` falls as they increase.
    """
    n, given = len(lows) - 1, np.clip(lost / (1 - gained), 0, 1)
    chances = stats.binom.pmf(np.arange(n + 1), n, gained)
    found = np.zeros(len(lost))
    for g in np.flatnonzero(chances > 1e-12):
        above = np.searchsorted(-lows[g], lost - gained - 1e-12)  # so many of the fewest lost
        found += chances[g] * stats.binom.cdf(above - 1, n - g, given)
    return found


def _most_often_wrong(n: int, confidence: float, gained: Array) -> float:
    """The largest chance that `low` is above the true change, with these true shares gained.

    Between two values that `low` can have, fewer are wrong as the loss increases: so it is looked
    for just beyond each.
    """
    lows = _lows(n, confidence)
    assert all((np.diff(one) <= 1e-12).all() for one in lows)
    drops = -np.unique(np.concatenate(lows)) + 1e-10
    worst = 0.0
    for share in gained:
        lost = np.append(drops, -share) + share
        lost = lost[(lost >= 0) & (lost + share <= 1)]
        worst = max(worst, float(_wrong(lows, lost, float(share)).max()))
    return worst


_GAINED = np.array([0, 0.001, 0.003, 0.01, 0.03, 0.06, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 0.97])
_ALL_GAINED = np.unique(np.concatenate([_GAINED, np.linspace(0, 1, 60)[:-1]]))


@pytest.mark.parametrize("n", [1, 2, 5, 12, 25])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_a_limit_is_seldom_wrong(n: int, confidence: float) -> None:
    """A gate passes when `low` is above what may be lost: wrongly, in at most half of what the
    interval leaves out, whatever the true shares. By symmetry the same holds for `high`."""
    tail = (1 - confidence) / 2
    found = _most_often_wrong(n, confidence, _GAINED)
    # It is reached where nothing is gained, so that no narrower interval would do there.
    assert 0.99 * tail < found < tail * (1 + 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("n", [*range(3, 30), 60, 100, 200])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_a_limit_is_seldom_wrong_anywhere(n: int, confidence: float) -> None:
    tail = (1 - confidence) / 2
    assert _most_often_wrong(n, confidence, _ALL_GAINED) < tail * (1 + 1e-6)


def test_where_a_score_interval_fell_short() -> None:
    """n = 200, 2 % lost, none gained: Tango's covers 93.6 %."""
    limits = [paired_difference(200, lost, 0) for lost in range(201)]
    covered = [low <= -0.02 <= high for _, low, high in limits]
    assert 0.95 <= stats.binom.pmf(np.arange(201), 200, 0.02)[covered].sum() < 0.99


@pytest.mark.parametrize(
    ("n", "lost", "gained", "word"),
    [
        (0, 0, 0, "n:"),
        (5, 3, 3, "lost"),
        (5, -1, 0, "lost"),
        (5, 0, -1, "gained"),
        (-1, 0, 0, "n:"),
    ],
)
def test_impossible_counts_are_refused(n: int, lost: int, gained: int, word: str) -> None:
    with pytest.raises(InputError, match=word):
        paired_difference(n, lost, gained)


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="b:"):
        mcnemar(-1, 2)
    with pytest.raises(InputError, match="confidence"):
        paired_difference(5, 1, 1, 1.0)
