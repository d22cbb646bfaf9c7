"""A mean over tokens that come in texts: the tokens of one text are not independent."""

import numpy as np
import numpy.typing as npt

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_confidence
from bitcliff.types.rate import PerToken

_RESAMPLES = 999
# Below, a resampled text is too often all there is.
_FEWEST = 5

Sums = npt.NDArray[np.float64]


def per_token(sums: Sums, tokens: npt.NDArray[np.int32], confidence: float = 0.95) -> PerToken:
    """Sum of sums over sum of tokens, with a bootstrap-t interval over the texts.

    Texts are resampled whole, by numbers drawn once for all. Each resample's distance from the
    figure is in units of its own standard error (of a ratio, linearised), so that long tails to one
    side make the interval longer there. Texts without tokens do not count; of fewer than 5 texts,
    or without spread, there is no interval.

    Args:
        sums: (n,) over the tokens of each text. tokens: (n,) how many these are.

    Raises:
        InputError: of different length, a sum that is not finite; see also `check_confidence`.

    Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 12.
    """
    check_confidence(confidence)
    if len(sums) != len(tokens) or not np.isfinite(sums).all():
        raise InputError(f"sums, tokens: {len(sums)} and {len(tokens)}, finite and as many")
    x, y = tokens[tokens > 0].astype(np.float64), sums[tokens > 0]
    n, total = len(x), int(x.sum())
    if not n:
        return PerToken(n=0, tokens=0, value=None, low=None, high=None)
    value, error = _ratio(y, x)
    if n < _FEWEST or error == 0:
        return PerToken(n=n, tokens=total, value=value, low=None, high=None)
    rng, distances = np.random.default_rng(0), list[float]()
    for _ in range(_RESAMPLES):
        rows = rng.integers(0, n, n)
        other, spread = _ratio(y[rows], x[rows])
        if spread > 0:
            distances.append((other - value) / spread)
    tail = (1 - confidence) / 2
    below, above = np.quantile(distances, [tail, 1 - tail])
    low, high = value - above * error, value - below * error
    return PerToken(
        n=n, tokens=total, value=value, low=min(float(low), value), high=max(float(high), value)
    )


def _ratio(y: Sums, x: Sums) -> tuple[float, float]:
    """The ratio of sums and its standard error."""
    ratio, n = float(y.sum() / x.sum()), len(x)
    rest = y - ratio * x
    return ratio, float(np.sqrt(n / (n - 1) * (rest**2).sum()) / x.sum()) if n > 1 else 0.0
