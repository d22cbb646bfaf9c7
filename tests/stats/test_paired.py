"""McNemar and Tango's interval against other libraries, published numbers and exact enumeration."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from bitcliff.errors import InputError
from bitcliff.stats import change_between, mcnemar, paired_change, paired_difference

Array = npt.NDArray[np.float64]
Z = float(stats.norm.ppf(0.975))


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


def test_interval_published() -> None:
    # Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014), airway data: n = 21, 1 and 7
    # discordant: difference -0.286, Tango -0.517 to -0.026.
    assert paired_difference(21, 7, 1) == pytest.approx((-0.286, -0.517, -0.026), abs=5e-4)


def _score_by_likelihood(difference: float, n: int, lost: int, gained: int) -> float:
    """Tango's score, its nuisance share found by maximising the likelihood numerically."""
    same = n - lost - gained

    def minus_log_likelihood(p_lost: float) -> float:
        shares = (p_lost, p_lost + difference, 1 - 2 * p_lost - difference)
        terms = zip((lost, gained, same), shares, strict=True)
        return -sum(k * math.log(max(p, 1e-300)) for k, p in terms if k)

    low, high = max(0.0, -difference), (1 - difference) / 2
    p = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    ).x
    variance = n * (2 * p + difference - difference**2)
    return (gained - lost - n * difference) / math.sqrt(variance)


@pytest.mark.parametrize(
    ("n", "lost", "gained"),
    [
        (21, 7, 1),
        (20, 10, 0),
        (20, 0, 3),
        (5, 1, 1),
        (8, 4, 4),
        (100, 1, 1),
        (50, 49, 1),
        (3, 2, 0),
    ],
)
def test_limits_invert_the_score_test(n: int, lost: int, gained: int) -> None:
    _, low, high = paired_difference(n, lost, gained)
    assert _score_by_likelihood(low, n, lost, gained) == pytest.approx(Z, abs=1e-3)
    assert _score_by_likelihood(high, n, lost, gained) == pytest.approx(-Z, abs=1e-3)
    # Not merely two roots: on a grid, the score test keeps what lies between and nothing else.
    for difference in np.linspace(-0.995, 0.995, 81):
        kept = abs(_score_by_likelihood(float(difference), n, lost, gained)) <= Z
        if min(abs(difference - low), abs(difference - high)) > 1e-3:
            assert kept == (low < difference < high)


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
def test_extremes_have_the_closed_form_of_the_score_interval(n: int) -> None:
    # All lost: the score test becomes n (1 + d)^2 = z^2 (1 - d^2). Nothing lost or gained: Wilson.
    edge = (n - Z**2) / (n + Z**2)
    assert paired_difference(n, n, 0) == pytest.approx((-1, -1, -edge))
    assert paired_difference(n, 0, n) == pytest.approx((1, edge, 1))
    wilson = stats.binomtest(0, n).proportion_ci(method="wilson").high
    assert paired_difference(n, 0, 0) == pytest.approx((0, -wilson, wilson))


def test_near_an_extreme_the_limits_are_continuous() -> None:
    n = 10**6
    for lost, gained in ((1, 0), (n - 1, 0)):
        _, low, high = paired_difference(n, lost, gained)
        _, other_low, other_high = paired_difference(n, lost + (1 if lost > 1 else -1), gained)
        assert abs(low - other_low) < 5e-6
        assert abs(high - other_high) < 5e-6


def _tables(n: int) -> tuple[npt.NDArray[np.int64], Array]:
    """Every (lost, gained, same) of n examples, and its 95 % limits."""
    tables = np.array([(b, c, n - b - c) for b in range(n + 1) for c in range(n + 1 - b)])
    limits = np.array([paired_difference(n, int(b), int(c))[1:] for b, c, _ in tables])
    return tables, limits


def test_coverage_by_exact_enumeration() -> None:
    """n = 20, true shares on a grid of 0.02. Found: mean 0.960; least coverage 0.9290 at |change|
    up to 0.5, 0.9245 up to 0.9. Beyond 0.9 (almost every example changes, in one direction) it
    falls to 0.86 in a corner; no threshold of a gate lies there.
    """
    tables, limits = _tables(20)
    grid = np.arange(0, 51) / 50
    covered = {}
    for lost in grid:
        for gained in grid[grid <= 1 - lost + 1e-9]:
            shares = [lost, gained, max(0.0, 1 - lost - gained)]
            chance = stats.multinomial.pmf(tables, 20, shares)
            change = gained - lost
            inside = (limits[:, 0] <= change + 1e-12) & (change - 1e-12 <= limits[:, 1])
            covered[round(change, 6), round(lost, 6)] = chance[inside].sum()
    assert min(c for (change, _), c in covered.items() if abs(change) <= 0.5) > 0.925
    assert min(c for (change, _), c in covered.items() if abs(change) <= 0.9) > 0.92
    assert min(covered.values()) > 0.85
    assert 0.95 < np.mean(list(covered.values())) < 0.97


@pytest.mark.parametrize("n", [10, 20, 50, pytest.param(100, marks=pytest.mark.slow)])
def test_a_gate_seldom_passes_wrongly(n: int) -> None:
    """A gate passes when `low` is above -max_drop. With the true drop exactly at it, that must be
    as rare as the nominal 2.5 %. Found: at most 2.6 % (n = 100, drop 2 points, 3 % gained).
    """
    tables, limits = _tables(n)
    for drop in (0.01, 0.02, 0.05, 0.1):
        for gained in (0.0, 0.001, 0.01, 0.03, 0.08):
            shares = [gained + drop, gained, 1 - drop - 2 * gained]
            chance = stats.multinomial.pmf(tables, n, shares)
            assert chance[limits[:, 0] > -drop + 1e-12].sum() < 0.027


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
