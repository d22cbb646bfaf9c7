import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from bitcliff.errors import InfeasibleBudget
from bitcliff.policy import Batch, RandomPerExample, RandomStatic
from bitcliff.policy.random import draw_allocations

OPTIONS = (3, 4, 5, 6)


def batch(indices: list[int]) -> Batch:
    return Batch(torch.zeros(len(indices), 1), torch.tensor(indices))


def feasible(points: int, total: int) -> set[tuple[int, ...]]:
    return {bits for bits in itertools.product(OPTIONS, repeat=points) if sum(bits) == total}


@pytest.mark.parametrize("kind", ["per example", "static"])
def test_draws_are_uniform_over_all_feasible_allocations(kind: str) -> None:
    cells = feasible(4, 17)
    if kind == "per example":
        rows = RandomPerExample(4, OPTIONS, 17, seed=3)(batch(list(range(6000)))).tolist()
    else:
        rows = [RandomStatic(4, OPTIONS, 17, seed).bits.tolist() for seed in range(3000)]
    counts = Counter(map(tuple, rows))
    assert set(counts) == cells
    assert stats.chisquare([counts[cell] for cell in sorted(cells)]).pvalue > 1e-3


def test_an_examples_draw_depends_on_seed_and_index_alone() -> None:
    policy = RandomPerExample(6, OPTIONS, 27, seed=1)
    whole = policy(batch(list(range(30))))
    assert policy(batch([17, 4, 4])).tolist() == whole[[17, 4, 4]].tolist()
    again = RandomPerExample(6, OPTIONS, 27, seed=1)(batch(list(range(30))))
    other = RandomPerExample(6, OPTIONS, 27, seed=2)(batch(list(range(30))))
    assert torch.equal(again, whole)
    assert not torch.equal(other, whole)


def test_examples_draw_for_themselves_and_static_for_all() -> None:
    assert len(RandomPerExample(6, OPTIONS, 27, 0)(batch(list(range(20)))).unique(dim=0)) > 10
    assert len(RandomStatic(6, OPTIONS, 27, 0)(batch(list(range(20)))).unique(dim=0)) == 1


def test_an_infeasible_total_names_those_that_are() -> None:
    with pytest.raises(InfeasibleBudget, match="18 to 36"):
        RandomStatic(6, OPTIONS, 99, 0)
    with pytest.raises(InfeasibleBudget, match="18 to 36"):
        RandomPerExample(6, OPTIONS, 99, 0)(batch([0]))


def test_options_need_not_be_neighbours() -> None:
    drawn = draw_allocations(200, 5, (2, 4, 8), 22, np.random.default_rng(0))
    assert set(drawn.flatten().tolist()) == {2, 4, 8}
    assert drawn.sum(1).tolist() == [22] * 200
