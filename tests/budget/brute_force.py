"""The reference of this room: every allocation, one by one."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Options = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]


def all_allocations(length: int, bits: Sequence[int], total: int) -> Options:
    """Option indices of all allocations at exactly `total` bits, (count, L), lowest first."""
    every = itertools.product(range(len(bits)), repeat=length)
    kept = [choice for choice in every if sum(bits[option] for option in choice) == total]
    return np.array(kept, dtype=np.int64).reshape(-1, length)


def sums_of(values: Array, allocations: Options) -> Array:
    """Sum of the values, (L, O), of each allocation, (count,), added last point first."""
    sums = np.zeros(len(allocations))
    for point in reversed(range(values.shape[0])):
        sums = values[point][allocations[:, point]] + sums
    return sums


def random_bits(rng: np.random.Generator) -> list[int]:
    """One to five option costs, ascending, some with gaps, some of equal cost."""
    size = int(rng.integers(1, 6))
    return sorted(rng.choice(np.arange(1, 17), size, replace=bool(rng.integers(2))).tolist())


def random_total(rng: np.random.Generator, length: int, bits: Sequence[int]) -> int:
    """A feasible total, by adding up a random allocation."""
    return int(sum(rng.choice(bits) for _ in range(length)))


def observed_and_expected(
    samples: Options, allocations: Options, shares: Array
) -> tuple[Array, Array]:
    """Observed and expected counts over the allocations; every sample must be one of them."""
    index = {tuple(row): number for number, row in enumerate(allocations.tolist())}
    observed = np.bincount([index[tuple(row)] for row in samples.tolist()], minlength=len(index))
    return observed.astype(np.float64), shares * len(samples)
