"""What is judged best, on figures made up so that it is known what must be."""

import numpy as np
import pytest

from bitcliff.questions.mitigations.judging import (
    known,
    random_allocation,
    recommend,
    with_front,
)
from bitcliff.questions.mitigations.record import Cost, Mitigated
from bitcliff.record.arrays import classes
from bitcliff.stats import paired_change, rate
from bitcliff.types.change import PairedChange


def change(value: float, low: float, high: float) -> PairedChange:
    return PairedChange(
        n=100, lost=0, gained=0, difference_pp=value, low_pp=low, high_pp=high, p_value=1.0
    )


def row(right: int, macs: float, bits: float, low: float = 1.0, loss: float = -5.0) -> Mitigated:
    """Of 100 examples, 50 right before."""
    return Mitigated(
        family="float",
        words="a mitigation",
        float_points=[],
        floors={},
        scheme="onnx",
        cost=Cost(
            in_float=0,
            float_macs=macs,
            total_bits=8,
            mean_bits=4,
            mean_with_float=bits,
            freedom_log2=1,
        ),
        right=rate(right, 100),
        before=rate(50, 100),
        regained=change(right - 50, min(low, right - 50), right - 40),
        loss=change(loss, loss - 1, loss + 1),
        standing="pass" if -loss + 1 <= 2 else "inconclusive" if -loss - 1 <= 2 else "fail",
        failures=0,
        passes=1,
    )


def test_the_front_agrees_with_all_pairs() -> None:
    rng = np.random.default_rng(0)
    rows = [row(int(rng.integers(50, 60)), *rng.integers(0, 4, 2) / 4) for _ in range(40)]
    numbers = [(r.right.k, -r.cost.float_macs, -r.cost.mean_with_float) for r in rows]
    for marked, mine in zip(with_front(rows), numbers, strict=True):
        outdone = any(
            other != mine and all(a >= b for a, b in zip(other, mine, strict=True))
            for other in numbers
        )
        assert marked.on_front == (not outdone)


CHEAP, DEAR = row(95, 0.1, 6, loss=-0.5), row(99, 0.5, 9, loss=0)
NEARLY, BEST, IDLE = row(94, 0.0, 5, loss=-1.9), row(80, 0.9, 20), row(55, 0, 5, low=-2.0)


@pytest.mark.parametrize(
    ("rows", "index"),
    [
        ([IDLE, BEST, NEARLY, DEAR, CHEAP], 4),
        ([IDLE, BEST, NEARLY], 2),
        ([IDLE, row(70, 0, 5), BEST], 2),
        ([IDLE], None),
        ([], None),
    ],
)
def test_the_cheapest_that_helps_enough_is_recommended(
    rows: list[Mitigated], index: int | None
) -> None:
    assert recommend(rows, 2.0) == index


def test_of_no_example_nothing_is_known() -> None:
    assert known(paired_change(0, 0, 0)) == (0.0, -100.0, 100.0)


def test_random_draws() -> None:
    draws: list[list[int | None]] = [[0, 1, None, 1], [0, 0, 0, 0], [0, 1, 0, 1]]
    found = random_allocation(classes([0, 1, 0, 1]), np.stack([classes(draw) for draw in draws]))
    # 3, 2 and 4 right
    assert (found.mean.k, found.worst.k, found.all_right.k, found.draws) == (3, 2, 1, 3)
