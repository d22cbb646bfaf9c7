"""The threshold by brute force, and what it guarantees by simulation."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from bitcliff.errors import InputError
from bitcliff.stats import rate
from bitcliff.stats.risk_control import controlled_threshold, examples_needed

GRID = np.append(np.linspace(0, 1, 41), np.inf)
ALPHA, DELTA = 0.03, 0.1


Values = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]


def drawn(rng: np.random.Generator, n: int) -> tuple[Values, Truths]:
    """Scores between 0 and 1; at a score s a share s^2 / 3 is lost."""
    scores = rng.random(n)
    return scores, rng.random(n) < scores**2 / 3


def true_risk(threshold: float) -> float:
    """What is lost below it: the integral of s^2 / 3."""
    return float(np.clip(threshold, 0, 1) ** 3 / 9)


@pytest.mark.parametrize(("alpha", "delta"), [(0.02, 0.1), (0.01, 0.05), (0.3, 0.5), (0.5, 0.25)])
def test_examples_needed_are_the_fewest_that_show_the_limit(alpha: float, delta: float) -> None:
    n = examples_needed(alpha, delta)
    # The chance to see no miss among them, were just a share alpha missed.
    assert stats.binom.cdf(0, n, alpha) <= delta * (1 + 1e-12)
    assert stats.binom.cdf(0, n - 1, alpha) > delta
    with pytest.raises(InputError, match="confidence"):
        examples_needed(0.0, 0.1)


def by_hand(scores: Values, lost: Truths) -> float:
    """Candidate by candidate, with scipy's binomial in place of the quantile of a beta."""
    found = -math.inf
    for candidate in GRID:
        missed = int((lost & (scores < candidate)).sum())
        if stats.binom.cdf(missed, len(scores), ALPHA) > DELTA:
            break
        found = float(candidate)
    return found


def test_the_threshold_is_that_of_brute_force() -> None:
    rng, found = np.random.default_rng(0), set[float]()
    for n in (20, 77, 150, 300, 900):
        for _ in range(5):
            scores, lost = drawn(rng, n)
            threshold = controlled_threshold(rng.permutation(GRID), scores, lost, ALPHA, DELTA)
            assert threshold == by_hand(scores, lost)
            found.add(threshold)
    assert len(found) > 5
    assert -math.inf in found


def test_scores_of_infinity_are_always_flagged_and_nothing_lost_flags_none() -> None:
    scores, none = np.append(np.linspace(0, 1, 200), np.inf), np.zeros(201, dtype=bool)
    assert controlled_threshold(GRID, scores, none, ALPHA, DELTA) == math.inf
    broken = none.copy()
    broken[-1] = True
    assert controlled_threshold(GRID, scores, broken, ALPHA, DELTA) == math.inf
    with pytest.raises(InputError, match="201 and 3"):
        controlled_threshold(GRID, scores, none[:3], ALPHA, DELTA)


def violations(draws: int, n: int = 300) -> tuple[int, int]:
    """In how many draws the true risk exceeds the limit: with the exact bound, and were the share
    that is seen taken for the truth."""
    rng, sure, naive = np.random.default_rng(1), 0, 0
    for _ in range(draws):
        scores, lost = drawn(rng, n)
        sure += true_risk(controlled_threshold(GRID, scores, lost, ALPHA, DELTA)) > ALPHA
        seen = np.array([(lost & (scores < candidate)).mean() for candidate in GRID])
        naive += true_risk(float(GRID[np.flatnonzero(seen <= ALPHA)[-1]])) > ALPHA
    return sure, naive


def test_the_limit_is_exceeded_no_more_often_than_allowed() -> None:
    draws = 600
    sure, naive = violations(draws)
    low = rate(sure, draws, 0.999).low
    assert low is not None
    assert low <= DELTA
    assert sure > 0  # or the test could not see a violation
    naive_low = rate(naive, draws, 0.999).low
    assert naive_low is not None
    assert naive_low > DELTA


@pytest.mark.slow
def test_so_it_is_over_many_draws() -> None:
    draws = 20_000
    sure, _ = violations(draws)
    high = rate(sure, draws, 0.95).high
    assert high is not None
    assert high <= DELTA
