"""Clopper-Pearson against statsmodels, the binomial tail itself, and a published example."""

import pytest
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from bitcliff.errors import InputError
from bitcliff.stats import rate, upper_bound


@pytest.mark.parametrize("n", [1, 2, 7, 20, 113])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_rate_agrees_with_statsmodels(n: int, confidence: float) -> None:
    for k in range(n + 1):
        found = rate(k, n, confidence)
        low, high = proportion_confint(k, n, alpha=1 - confidence, method="beta")
        assert found.value == k / n
        # statsmodels leaves the limits at the ends to beta.ppf, which is NaN or rounded there.
        assert found.low == pytest.approx(0.0 if k == 0 else low, abs=1e-12)
        assert found.high == pytest.approx(1.0 if k == n else high, abs=1e-12)


def test_rate_published() -> None:
    # R, help page of binom.test (Mendel's peas, 682 of 925): 95 % interval 0.7076683 to 0.7654066.
    found = rate(682, 925)
    assert found.low == pytest.approx(0.7076683, abs=5e-8)
    assert found.high == pytest.approx(0.7654066, abs=5e-8)


def test_rate_of_nothing_is_none() -> None:
    found = rate(0, 0)
    assert (found.k, found.n, found.value, found.low, found.high) == (0, 0, None, None, None)


@pytest.mark.parametrize("n", [1, 5, 20, 300])
def test_upper_bound_of_no_flips(n: int) -> None:
    assert upper_bound(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-12)


@pytest.mark.parametrize(("k", "n"), [(1, 3), (2, 20), (19, 20), (50, 1000)])
def test_upper_bound_inverts_the_binomial_tail(k: int, n: int) -> None:
    root = optimize.brentq(lambda p: stats.binom.cdf(k, n, p) - 0.05, 1e-9, 1 - 1e-9, xtol=1e-14)
    assert upper_bound(k, n) == pytest.approx(root, abs=1e-9)


def test_upper_bound_when_nothing_is_ruled_out() -> None:
    assert upper_bound(0, 0) == upper_bound(4, 4) == 1.0


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(InputError, match="must be"):
        rate(k, n)
    with pytest.raises(InputError, match="must be"):
        upper_bound(k, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, float("nan")])
def test_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(InputError, match="confidence"):
        rate(1, 2, confidence)
    with pytest.raises(InputError, match="confidence"):
        upper_bound(1, 2, confidence)
