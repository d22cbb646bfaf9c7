"""Intervals for a share over answers that are not independent: several of each example."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_confidence, check_share
from bitcliff.types.rate import ClusteredRate


def clustered_rate(
    hits: Sequence[int], trials: Sequence[int], confidence: float = 0.95
) -> ClusteredRate:
    """Sum of hits over sum of trials, its interval allowing for the clusters.

    The Clopper-Pearson interval of as many independent trials as these are worth: at least one a
    cluster, as if all answers of an example were the same, and at most all of them. In between, as
    many as give the variance that is seen between clusters. Where all or none are hits there is no
    variance to see, and each cluster counts once.

    Args:
        hits, trials: one number a cluster; clusters without trials do not count.

    Raises:
        InputError: of different length; not 0 <= hits <= trials; `confidence` not between 0 and 1.

    Source: E. L. Korn and B. I. Graubard, Survey Methodology 24, 1998, with the bounds above.
    """
    if len(hits) != len(trials):
        raise InputError(f"hits, trials: {len(hits)} and {len(trials)} clusters; must be as many")
    check_confidence(confidence)
    pairs = [check_share(k, n) for k, n in zip(hits, trials, strict=True)]
    counts = np.array([pair for pair in pairs if pair[1]], dtype=np.float64).reshape(-1, 2)
    k, n = (int(total) for total in counts.sum(0))
    if n == 0:
        return ClusteredRate(k=0, n=0, clusters=0, value=None, low=None, high=None)
    worth = _independent_trials(counts, confidence)
    share, tail = k / n, (1 - confidence) / 2
    part = share * worth
    low = 0.0 if k == 0 else float(special.betaincinv(part, worth - part + 1, tail))
    high = 1.0 if k == n else float(special.betaincinv(part + 1, worth - part, 1 - tail))
    return ClusteredRate(k=k, n=n, clusters=len(counts), value=share, low=low, high=high)


def _independent_trials(counts: npt.NDArray[np.float64], confidence: float) -> float:
    """How many the (clusters, 2) hits and trials are worth."""
    hits, trials = counts.T
    n, clusters = trials.sum(), len(counts)
    share = hits.sum() / n
    if share in (0.0, 1.0) or clusters == 1:
        return float(clusters)
    rest = hits - share * trials
    variance = clusters / (clusters - 1) * (rest**2).sum() / n**2
    if variance == 0:
        return float(n)
    # The fewer clusters, the less is known of that variance.
    upper = (1 + confidence) / 2
    unsure = (special.ndtri(upper) / special.stdtrit(clusters - 1, upper)) ** 2
    return float(np.clip(unsure * share * (1 - share) / variance, clusters, n))
