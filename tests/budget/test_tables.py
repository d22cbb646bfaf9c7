"""The tables themselves: their windows, their rows against brute force, their memory."""

import itertools

import numpy as np
import pytest
import torch

from bitcliff.budget.tables import Knapsack, best_tables, prepare
from tests.budget.brute_force import random_bits, random_total


@pytest.mark.parametrize("seed", range(20))
def test_every_row_holds_the_best_of_the_points_behind_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits, length = random_bits(rng), int(rng.integers(1, 5))
    values = rng.integers(-3, 4, (2, length, len(bits))).astype(float)
    shape, profits = prepare(torch.from_numpy(values), bits, random_total(rng, length, bits))
    for point, table in enumerate(best_tables(shape, profits)):
        rows = np.full((shape.rows(point), 2), -np.inf)
        for choice in itertools.product(range(len(bits)), repeat=length - point):
            row = sum(shape.steps[option] for option in choice) - shape.first(point)
            if 0 <= row < len(rows):
                gains = values[:, np.arange(point, length), list(choice)].sum(axis=1)
                rows[row] = np.maximum(rows[row], gains)
        np.testing.assert_array_equal(table[shape.pad : shape.pad + len(rows)], rows)
        assert len(table) == len(rows) + 2 * shape.pad


def test_windows_meet_both_ends() -> None:
    shape = Knapsack((3, 4, 10), 5, 24)
    assert (shape.spare, shape.steps) == (9, (0, 1, 7))
    assert [(shape.first(point), shape.rows(point)) for point in range(6)] == [
        (9, 1),
        (2, 8),
        (0, 10),
        (0, 10),
        (0, 8),
        (0, 1),
    ]


@pytest.mark.parametrize(("length", "width"), [(84, 64), (2000, 2)])
def test_chunks_cover_the_batch_within_a_bound(length: int, width: int) -> None:
    shape = Knapsack(tuple(range(3, 11)), length, 6 * length)
    chunks = list(shape.chunks(130))
    assert np.concatenate([np.arange(130)[chunk] for chunk in chunks]).tolist() == list(range(130))
    assert chunks[0] == slice(0, width)
