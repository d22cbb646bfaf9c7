"""The group found against every group by brute force."""

from itertools import combinations

import numpy as np
import pytest

from bitcliff.stats.subgroups import worst_group


def excess(inside: np.ndarray, hit: np.ndarray) -> float:
    """Standard errors by which a group is hit more, from the counts of a draw."""
    n, m, total = len(hit), int(inside.sum()), int(hit.sum())
    share = total / n
    spread = np.sqrt(m * share * (1 - share) * (n - m) / (n - 1))
    return float((hit[inside].sum() - m * share) / spread)


@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, c = 60, 9
    holds, hit = rng.random((c, n)) < rng.uniform(0.05, 0.9, (c, 1)), rng.random(n) < 0.3
    if seed % 2:  # a pair that is hit
        hit |= holds[2] & holds[7]
    about = [str(number // 3) for number in range(c)]
    groups: dict[tuple[int, ...], np.ndarray] = {(i,): holds[i] for i in range(c)}
    groups |= {
        (i, j): holds[i] & holds[j] for i, j in combinations(range(c), 2) if about[i] != about[j]
    }
    scores = {
        key: excess(inside, hit)
        for key, inside in groups.items()
        if min(inside.sum(), n - inside.sum()) >= 5
    }
    costs = rng.integers(0, 2, c).astype(float).tolist() if seed % 3 else [0.0] * c

    def worth(key: tuple[int, ...]) -> float:
        return scores[key] - sum(costs[i] for i in key) - (len(key) == 2)

    wanted = max(scores, key=worth)
    found = worst_group(holds, about, hit, costs)
    assert found is not None
    assert tuple(sorted(found.conditions)) == wanted
    assert found.errors == pytest.approx(scores[wanted])


def test_no_group_where_nothing_is_hit_or_too_few_are_there() -> None:
    holds, about = np.eye(2, 20, dtype=bool), ["a", "b"]
    assert worst_group(holds, about, np.ones(20, dtype=bool), [0.0, 0.0]) is None
    assert worst_group(holds, about, np.arange(20) < 3, [0.0, 0.0]) is None  # of one example each
    assert worst_group(holds[:, :8], about, np.arange(8) < 3, [0.0, 0.0]) is None
    half = np.arange(20) < 10
    assert worst_group(half[None], ["a"], ~half, [0.0]) is None  # all are hit elsewhere
    found = worst_group(half[None], ["a"], half, [0.0])
    assert found is not None
    assert found.conditions == (0,)
