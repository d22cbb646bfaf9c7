"""A mean over tokens in texts: against its definition, and how often its interval covers."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from bitcliff.errors import InputError
from bitcliff.stats import per_token

Means = Callable[[np.random.Generator, int], np.ndarray]


def lognormal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Of mean e^0.5."""
    return np.exp(rng.normal(size=n))


def mostly_zero(rng: np.random.Generator, n: int) -> np.ndarray:
    """7 of 10 exactly, the others as before."""
    return lognormal(rng, n) * (rng.random(n) < 0.3)


def heavier(rng: np.random.Generator, n: int) -> np.ndarray:
    """As many zeros, and of the others 1 in 100 is 33 times their median or more."""
    return np.exp(1.5 * rng.normal(size=n)) * (rng.random(n) < 0.3)


def pareto(rng: np.random.Generator, n: int) -> np.ndarray:
    """Without a third moment."""
    return rng.pareto(3, n)


def covered(means: Means, truth: float, n: int, times: int, seed: int) -> tuple[float, float]:
    """How often, and how often a normal interval would: texts of 5 to 39 tokens, whose sums are by
    a mean that each text has of its own."""
    rng, ours, plain = np.random.default_rng(seed), 0, 0
    for _ in range(times):
        tokens = rng.integers(5, 40, n).astype(np.int32)
        sums = tokens.astype(np.float64) * means(rng, n)
        found = per_token(sums, tokens)
        assert found.low is not None
        assert found.high is not None
        assert found.value is not None
        ours += found.low <= truth <= found.high
        error = np.sqrt(((sums - found.value * tokens) ** 2).sum()) / tokens.sum()
        plain += bool(abs(found.value - truth) <= 1.96 * error)
    return ours / times, plain / times


def test_it_is_the_ratio_of_the_sums() -> None:
    sums, tokens = np.array([2.0, 0.0, 9.0, 1.0, 4.0, 3.0]), np.array([2, 0, 3, 1, 4, 2], np.int32)
    found = per_token(np.tile(sums, 6), np.tile(tokens, 6))
    assert (found.n, found.tokens) == (30, 72)
    assert found.value == pytest.approx(19 / 12)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 19 / 12 < found.high


def test_the_interval_covers_a_long_tail() -> None:
    ours, plain = covered(lognormal, math.exp(0.5), 40, 300, seed=3)
    # A normal interval's share here is about 0.86.
    assert plain < 0.93
    assert ours >= 0.945


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 100])
@pytest.mark.parametrize(
    ("means", "truth"),
    [
        (lognormal, math.exp(0.5)),
        (mostly_zero, 0.3 * math.exp(0.5)),
        (heavier, 0.3 * math.exp(1.125)),
        (pareto, 0.5),
    ],
)
def test_the_interval_covers_what_is_skewed_and_mostly_zero(
    means: Means, truth: float, n: int
) -> None:
    times = 2000
    ours, plain = covered(means, truth, n, times, seed=n)
    assert plain < 0.93
    # Two standard errors of a share that is just what is promised.
    assert ours >= 0.945 - 2 * math.sqrt(0.945 * 0.055 / times)


def test_few_texts_have_no_interval_and_odd_input_is_refused() -> None:
    few = per_token(np.arange(29.0), np.ones(29, np.int32))
    assert (few.value, few.low, few.high) == (14.0, None, None)
    assert per_token(np.arange(30.0), np.ones(30, np.int32)).low is not None
    assert per_token(np.zeros(0), np.zeros(0, np.int32)).value is None
    same = per_token(np.ones(39), np.ones(39, np.int32))
    assert (same.value, same.low) == (1.0, None)
    with pytest.raises(InputError, match="finite and as many"):
        per_token(np.array([np.nan]), np.array([1], np.int32))
