"""Worst means over balls against convex solvers, and what their limits cover."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize

from bitcliff.errors import InputError
from bitcliff.stats import rate, reweighted
from bitcliff.stats.reweighting import worst_by_chi2, worst_by_share

Values = npt.NDArray[np.float64]


def drawn(seed: int) -> tuple[Values, Values, float]:
    """Values, some of them equal, their shares, and the size of a ball."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 9))
    values = rng.choice([-1, -0.5, 0, 0.2, 1.0], k) if seed % 2 else rng.uniform(-1, 1, k)
    return values, rng.dirichlet(np.ones(k)), float(rng.uniform(0.03, 1))


@pytest.mark.parametrize("seed", range(40))
def test_by_share_is_the_optimum_of_a_linear_program(seed: int) -> None:
    values, shares, part = drawn(seed)
    bounds = [(0, share / part) for share in shares]
    best = optimize.linprog(-values, A_eq=np.ones((1, len(values))), b_eq=[1], bounds=bounds)
    assert worst_by_share(values, shares, part) == pytest.approx(-best.fun, abs=1e-9)


@pytest.mark.parametrize("seed", range(24))
def test_by_chi2_is_the_optimum_of_a_convex_program(seed: int) -> None:
    values, shares, part = drawn(seed)
    starts = [shares, *np.random.default_rng(seed).dirichlet(np.ones(len(values)), 3)]
    limits = [
        {"type": "eq", "fun": lambda q: q.sum() - 1},
        {"type": "ineq", "fun": lambda q: 1 / part - (q**2 / shares).sum()},
    ]
    ends = [
        optimize.minimize(
            lambda q: -q @ values,
            start,
            jac=lambda _: -values,
            constraints=limits,
            bounds=[(0, 1)] * len(values),
            method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 500},
        ).x
        for start in starts
    ]
    allowed = [q for q in ends if (q**2 / shares).sum() < 1 / part + 1e-6 and q.min() > -1e-9]
    best = max(float(q @ values) / float(q.sum()) for q in allowed)
    assert worst_by_chi2(values, shares, part) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("part", [1e-3, 0.37, 1.0])
def test_many_values_are_between_the_mean_and_the_largest(part: float) -> None:
    values = np.random.default_rng(0).normal(size=5000) * 1e-9 + 1
    shares = np.full(5000, 1 / 5000)
    by_share, by_chi2 = (worst(values, shares, part) for worst in (worst_by_share, worst_by_chi2))
    assert values.mean() - 1e-15 <= by_share <= by_chi2 + 1e-15 <= values.max() + 2e-15


def test_drops_by_hand() -> None:
    drops = np.array([1.0] * 2 + [-1.0] + [0.0] * 7)
    whole, half, fifth = reweighted(drops, (-1.0, 0.0, 1.0), (1.0, 0.5, 0.1))
    assert (whole.by_share.value, whole.by_chi2.value) == pytest.approx((0.1, 0.1))
    assert half.by_share.value == pytest.approx(2 / 5)
    assert fifth.by_share.value == fifth.by_chi2.value == 1.0
    # The gained one has no weight left; of the nine others the factor of those lost is
    # 0.9^-1 (1 + t (1 - 2/9)) with t² var = 0.9 / 0.5 - 1.
    spread = np.sqrt(0.8 * 2 / 9 * 7 / 9)
    assert half.by_chi2.value == pytest.approx(2 / 9 + spread)


def test_nothing_and_what_is_outside_the_edges() -> None:
    assert reweighted(np.zeros(0), (0.0, 1.0)) == []
    with pytest.raises(InputError, match="outside 0 to 1"):
        reweighted(np.array([-1.0]), (0.0, 1.0))


def covered(draws: int, n: int, edges: tuple[float, ...], seed: int) -> int:
    """How often all limits of the curve hold together, of draws from one distribution."""
    rng, hits = np.random.default_rng(seed), 0
    if len(edges) <= 3:
        values, shares = np.array(edges), rng.dirichlet([0.3, 3, 1][: len(edges)])
    else:
        values = rng.uniform(edges[0], edges[-1], 40) * (rng.random(40) < 0.4)
        shares = rng.dirichlet(np.ones(40))
    parts = (1.0, 0.5, 0.1)
    truth = [[worst(values, shares, p) for worst in (worst_by_share, worst_by_chi2)] for p in parts]
    for _ in range(draws):
        found = reweighted(rng.choice(values, n, p=shares), edges, parts)
        hits += all(
            one.low - 1e-9 <= true <= one.high + 1e-9
            for point, both in zip(found, truth, strict=True)
            for one, true in zip((point.by_share, point.by_chi2), both, strict=True)
        )
    return hits


GRIDS = [(0.0, 1.0), (-1.0, 0.0, 1.0), tuple(number / 10 for number in range(-10, 11))]


@pytest.mark.parametrize("edges", GRIDS, ids=len)
@pytest.mark.parametrize("n", [10, 80])
def test_the_limits_hold_together(edges: tuple[float, ...], n: int) -> None:
    hits = sum(covered(30, n, edges, seed) for seed in range(4))
    assert rate(hits, 120).high >= 0.95  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.parametrize("edges", GRIDS, ids=len)
@pytest.mark.parametrize("n", [20, 100, 400])
def test_the_limits_hold_together_over_many(edges: tuple[float, ...], n: int) -> None:
    hits = sum(covered(100, n, edges, seed) for seed in range(40))
    assert rate(hits, 4000).low >= 0.95  # type: ignore[operator]
