from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from bitcliff.errors import InputError
from bitcliff.stats import bounded_mean
from bitcliff.types.rate import Mean

Draw = Callable[[np.random.Generator, int], npt.NDArray[np.float64]]


def mostly_whole(random: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
    """Shares of tokens kept: most are 1, some collapse."""
    broken = random.random(n) < 0.03
    return np.where(broken, random.beta(1, 5, n), 1.0)


SHAPES: dict[str, tuple[Draw, float]] = {
    "mostly whole": (mostly_whole, 0.97 + 0.03 / 6),
    "many zeros": (lambda r, n: np.where(r.random(n) < 0.9, 0.0, r.random(n)), 0.05),
    "spread": (lambda r, n: r.random(n), 0.5),
    "two-valued": (lambda r, n: (r.random(n) < 0.98).astype(float), 0.98),
    "narrow": (lambda r, n: 0.3 + 0.02 * r.random(n), 0.31),
}


@pytest.mark.parametrize("n", [20, 200])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_the_interval_covers_the_mean(shape: tuple[Draw, float], n: int) -> None:
    draw, mean = shape
    random = np.random.default_rng(n)
    found = [bounded_mean(draw(random, n)) for _ in range(400)]
    covered = sum(one.low <= mean <= one.high for one in found)  # type: ignore[operator]
    # 400 with at least 95 % each: fewer than 366 come in one of ten thousand.
    assert covered >= 366


def test_it_narrows_and_holds_the_mean() -> None:
    random = np.random.default_rng(0)
    widths = []
    for n in (20, 200, 2000):
        found = bounded_mean(mostly_whole(random, n))
        assert found.low is not None
        assert found.high is not None
        assert found.value is not None
        assert 0 <= found.low <= found.value <= found.high <= 1
        widths.append(found.high - found.low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_ends_and_nothing() -> None:
    whole, none = bounded_mean(np.ones(60)), bounded_mean(np.zeros(60))
    assert (whole.value, whole.high, none.value, none.low) == (1.0, 1.0, 0.0, 0.0)
    assert whole.low is not None
    assert none.high is not None
    assert 0.9 < whole.low < 0.95
    assert none.high == pytest.approx(1 - whole.low)
    assert bounded_mean(np.empty(0)) == Mean(n=0, value=None, low=None, high=None)
    with pytest.raises(InputError, match="from 0 to 1"):
        bounded_mean(np.array([0.5, 1.1]))
    with pytest.raises(InputError, match="from 0 to 1"):
        bounded_mean(np.array([0.5, np.nan]))
