"""A mean over tokens in texts: against its definition, and how often its interval covers."""

import numpy as np
import pytest

from bitcliff.errors import InputError
from bitcliff.stats import per_token


def texts(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of nats with a long tail, by a mean that each text has of its own; truth: e^0.5."""
    tokens = rng.integers(5, 40, n).astype(np.int32)
    return tokens * np.exp(rng.normal(size=n)), tokens


def test_it_is_the_ratio_of_the_sums() -> None:
    sums, tokens = np.array([2.0, 0.0, 9.0, 1.0, 4.0, 3.0]), np.array([2, 0, 3, 1, 4, 2], np.int32)
    found = per_token(sums, tokens)
    assert (found.n, found.tokens) == (5, 12)
    assert found.value == pytest.approx(19 / 12)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 19 / 12 < found.high


def test_the_interval_covers_a_long_tail() -> None:
    rng, covered, plain = np.random.default_rng(3), 0, 0
    for _ in range(150):
        sums, tokens = texts(rng, 40)
        found = per_token(sums, tokens)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= np.exp(0.5) <= found.high
        means = np.array(found.value)
        error = np.sqrt(((sums - means * tokens) ** 2).sum()) / tokens.sum()
        plain += bool(abs(means - np.exp(0.5)) <= 1.96 * error)
    # A normal interval's share here is about 0.86.
    assert covered > plain
    assert covered / 150 >= 0.9


def test_few_texts_have_no_interval_and_odd_input_is_refused() -> None:
    few = per_token(np.array([1.0, 2.0]), np.array([1, 1], np.int32))
    assert (few.value, few.low, few.high) == (1.5, None, None)
    assert per_token(np.zeros(0), np.zeros(0, np.int32)).value is None
    same = per_token(np.ones(9), np.ones(9, np.int32))
    assert (same.value, same.low) == (1.0, None)
    with pytest.raises(InputError, match="finite and as many"):
        per_token(np.array([np.nan]), np.array([1], np.int32))
