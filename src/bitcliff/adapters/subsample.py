"""Which examples to keep of a set that is too large."""

import numpy as np
from jaxtyping import Int64


def choose(
    labels: Int64[np.ndarray, " n"] | None, n: int, limit: int | None, seed: int
) -> Int64[np.ndarray, " kept"]:
    """Indices to keep, ascending; the same for the same arguments.

    With labels, each class keeps its share of `limit`, rounded by largest remainder; ties between
    remainders go to classes picked with the seed.

    Args:
        n: how many there are.
        limit: how many to keep; None, or n and above: all.
    """
    if limit is None or limit >= n:
        return np.arange(n, dtype=np.int64)
    rng = np.random.default_rng(seed)
    if labels is None:
        return np.sort(rng.choice(n, limit, replace=False)).astype(np.int64)
    classes, counts = np.unique(labels, return_counts=True)
    quotas = _largest_remainder(counts, limit, rng)
    kept = [
        rng.choice(np.flatnonzero(labels == label), quota, replace=False)
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return np.sort(np.concatenate(kept)).astype(np.int64)


def _largest_remainder(
    counts: Int64[np.ndarray, " classes"], limit: int, rng: np.random.Generator
) -> Int64[np.ndarray, " classes"]:
    """Shares of `limit` in proportion to `counts`, in whole numbers, exactly."""
    quotas, remainders = np.divmod(counts.astype(np.int64) * limit, counts.sum())
    order = np.lexsort((rng.permutation(len(counts)), -remainders))
    quotas[order[: limit - quotas.sum()]] += 1
    return quotas
