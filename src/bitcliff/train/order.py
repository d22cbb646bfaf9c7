"""The order of the data and every random draw, as pure functions of (seed, epoch, step).

Nothing random is carried from step to step, so a resumed run needs no random state to go on
exactly where a killed one stopped.
"""

import functools
import hashlib

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


def seed_of(seed: int, *position: int | str) -> int:
    """A 63-bit seed for one position in a run, unrelated to its neighbours'."""
    text = "/".join(map(str, (seed, *position)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@functools.lru_cache(maxsize=2)  # every step of an epoch asks for it
def epoch_order(n: int, seed: int, epoch: int) -> Int[Tensor, " n"]:
    """A permutation of n examples."""
    rng = np.random.default_rng(seed_of(seed, "order", epoch))
    return torch.from_numpy(rng.permutation(n))


def batch_indices(
    n: int, batch_size: int, seed: int, epoch: int, step: int
) -> Int[Tensor, " batch"]:
    """The examples of one step; what is left over at an epoch's end waits for the next epoch."""
    size = min(batch_size, n)
    return epoch_order(n, seed, epoch)[step * size : (step + 1) * size]


def steps_in_epoch(n: int, batch_size: int) -> int:
    """Whole batches in n examples, at least one."""
    return max(1, n // batch_size)
