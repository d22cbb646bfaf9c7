from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bitcliff.adapters.subsample import choose


@settings(max_examples=200, deadline=None)
@given(
    labels=st.lists(st.integers(0, 6), min_size=1, max_size=60),
    limit=st.integers(1, 70),
    seed=st.integers(0, 5),
)
def test_every_class_keeps_its_share(labels: list[int], limit: int, seed: int) -> None:
    array = np.array(labels, dtype=np.int64)
    kept = choose(array, len(labels), limit, seed)
    assert len(kept) == min(limit, len(labels))
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert kept.tolist() == choose(array, len(labels), limit, seed).tolist()
    counts, chosen = Counter(labels), Counter(array[kept].tolist())
    if limit < len(labels):
        for label, count in counts.items():  # the quota rule, in exact arithmetic
            low = limit * count // len(labels)
            assert low <= chosen[label] <= low + (limit * count % len(labels) > 0)


def test_the_largest_remainders_get_the_rest() -> None:
    # 7 of 10+5+3: shares 3.89, 1.94, 1.17, so 3+1, 1+1, 1.
    labels = np.repeat([0, 1, 2], [10, 5, 3])
    assert Counter(labels[choose(labels, 18, 7, 0)].tolist()) == {0: 4, 1: 2, 2: 1}


def test_ties_are_broken_by_the_seed_not_by_the_class() -> None:
    labels = np.arange(10)
    picked = {tuple(labels[choose(labels, 10, 2, seed)].tolist()) for seed in range(20)}
    assert len(picked) > 5


def test_without_labels_or_limit() -> None:
    assert choose(None, 5, None, 0).tolist() == [0, 1, 2, 3, 4]
    assert choose(None, 5, 9, 0).tolist() == [0, 1, 2, 3, 4]
    kept = choose(None, 100, 10, 3)
    assert len(set(kept.tolist())) == 10
    assert kept.tolist() != choose(None, 100, 10, 4).tolist()
