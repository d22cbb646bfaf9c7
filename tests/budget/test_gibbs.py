"""Marginals and samples against the Gibbs law written out over every allocation."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from bitcliff.budget import forbid_below, gibbs_samples, marginals, solve
from bitcliff.errors import InfeasibleBudget, InputError, NumericError
from tests.budget.brute_force import (
    Array,
    Options,
    all_allocations,
    observed_and_expected,
    random_bits,
    random_total,
    sums_of,
)


def gibbs_law(values: Array, allocations: Options, temperature: float) -> Array:
    """Probability of each allocation, (count,)."""
    law: Array = special.softmax(sums_of(values, allocations) / temperature)
    return law


def marginals_by_hand(values: Array, allocations: Options, law: Array) -> Array:
    """(L, O) probabilities, by adding up the allocations that take each option."""
    shares = np.zeros_like(values)
    for allocation, chance in zip(allocations, law, strict=True):
        shares[np.arange(len(allocation)), allocation] += chance
    return shares


@pytest.mark.parametrize("seed", range(60))
def test_marginals_agree_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits, length = random_bits(rng), int(rng.integers(1, 6))
    total, temperature = random_total(rng, length, bits), float(rng.choice([0.05, 0.5, 1, 20]))
    allocations = all_allocations(length, bits, total)
    values = rng.normal(size=(5, length, len(bits)))
    values[rng.random(values.shape) < 0.15] = -np.inf
    # One allocation of each example stays open, so that every example is feasible.
    open_ = allocations[rng.integers(0, len(allocations), 5)]
    values[np.arange(5)[:, None], np.arange(length), open_] = rng.normal(size=(5, length))
    found = marginals(torch.from_numpy(values), bits, total, temperature).numpy()
    for example, shares in zip(values, found, strict=True):
        law = gibbs_law(example, allocations, temperature)
        np.testing.assert_allclose(
            shares, marginals_by_hand(example, allocations, law), rtol=1e-9, atol=1e-14
        )


def test_marginals_at_full_size_agree_with_polynomials() -> None:
    """Independent route: products of polynomials in extended precision, one point left out."""
    bits, length, total = range(3, 11), 84, 500
    values = np.random.default_rng(0).normal(size=(length, 8))
    found = marginals(torch.from_numpy(values)[None], bits, total).numpy()[0]
    factors = np.exp(values.astype(np.longdouble))
    for point in (0, 17, 83):
        others = np.ones(1, dtype=np.longdouble)
        for factor in np.delete(factors, point, axis=0):
            others = np.convolve(others, factor)
        spare = total - length * 3
        weights = np.array([factors[point, o] * others[spare - o] for o in range(8)])
        np.testing.assert_allclose(
            found[point], (weights / weights.sum()).astype(float), rtol=1e-10
        )
    assert found.sum(axis=1) == pytest.approx(np.ones(length), abs=1e-12)
    # The expected cost is the budget itself.
    assert (found * np.array(bits)).sum() == pytest.approx(total, abs=1e-9)


def test_marginals_of_500_points_do_not_overflow() -> None:
    values = 50 * torch.randn(1, 500, 8, generator=torch.Generator().manual_seed(0))
    shares = marginals(values, range(3, 11), 3000)
    torch.testing.assert_close(shares.sum(dim=2), torch.ones(1, 500, dtype=torch.float64))
    cost = (shares * torch.arange(3, 11)).sum()
    torch.testing.assert_close(cost, torch.tensor(3000.0, dtype=torch.float64))


@pytest.mark.parametrize("temperature", [1e-9, 1e-300])
def test_cold_is_the_solver(temperature: float) -> None:
    values = torch.randn(4, 12, 5, generator=torch.Generator().manual_seed(3)).double()
    best = solve(values, range(2, 7), 45)
    shares = marginals(values, range(2, 7), 45, temperature)
    torch.testing.assert_close(shares, torch.nn.functional.one_hot(best, 5).double())
    samples = gibbs_samples(3, values, range(2, 7), 45, np.random.default_rng(0), temperature)
    assert samples.equal(best.expand(3, -1, -1))


def test_cold_ties_share_alike() -> None:
    shares = marginals(torch.zeros(1, 3, 2), [2, 3], 7, temperature=1e-200)
    torch.testing.assert_close(shares[0], torch.tensor([[2 / 3, 1 / 3]] * 3, dtype=torch.float64))


def test_hot_is_uniform() -> None:
    values = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(4)).double()
    allocations = all_allocations(4, [2, 3, 4], 11)
    law = np.full(len(allocations), 1 / len(allocations))
    expected = marginals_by_hand(values[0].numpy(), allocations, law)
    found = marginals(values, [2, 3, 4], 11, temperature=1e300)
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_samples_follow_the_law(temperature: float) -> None:
    bits, total, n = [2, 3, 5, 6], 15, 20000
    values = np.random.default_rng(5).normal(size=(2, 4, 4))
    values[0, 1, 2] = -np.inf
    rng = np.random.default_rng(6)
    samples = gibbs_samples(n, torch.from_numpy(values), bits, total, rng, temperature).numpy()
    assert samples.shape == (n, 2, 4)
    allocations = all_allocations(4, bits, total)
    for example in range(2):
        law = gibbs_law(values[example], allocations, temperature)
        observed, expected = observed_and_expected(samples[:, example], allocations, law)
        assert not observed[expected == 0].any()
        # Cells too thin for chi-square are pooled.
        thin = expected < 5
        cells = [np.append(c[~thin], c[thin].sum()) for c in (observed, expected)]
        kept = cells[1] > 0
        assert stats.chisquare(cells[0][kept], cells[1][kept]).pvalue > 0.001


def test_samples_cost_the_budget_and_match_the_marginals() -> None:
    values = torch.randn(70, 30, 8, generator=torch.Generator().manual_seed(8))
    samples = gibbs_samples(500, values, range(3, 11), 180, np.random.default_rng(9))
    assert ((samples + 3).sum(dim=2) == 180).all()
    shares = torch.nn.functional.one_hot(samples, 8).double().mean(dim=0)
    expected = marginals(values, range(3, 11), 180)
    spread = (expected * (1 - expected) / 500).sqrt()
    scores = (shares - expected) / spread.clamp_min(1e-4)
    # 16,800 scores: within 6 standard errors each, and about 1 on the whole.
    assert scores.abs().max() < 6
    assert 0.9 < scores.square().mean() < 1.1


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf"), 1e-320])
def test_bad_temperatures_are_refused(temperature: float) -> None:
    with pytest.raises(InputError, match="temperature"):
        marginals(torch.zeros(1, 3, 2), [2, 3], 7, temperature)
    with pytest.raises(InputError, match="temperature"):
        gibbs_samples(1, torch.zeros(1, 3, 2), [2, 3], 7, np.random.default_rng(0), temperature)


def test_bad_values_are_refused() -> None:
    values = torch.zeros(2, 3, 2)
    values[1, 2, 1] = torch.nan
    with pytest.raises(NumericError, match="example 1, point 2, option 1"):
        marginals(values, [2, 3], 7)
    values[1, :, 1] = -torch.inf
    with pytest.raises(InfeasibleBudget, match=r"example 1 .* 6 \(mean 2 bits\)"):
        marginals(values, [2, 3], 7)
    with pytest.raises(InfeasibleBudget, match="example 1"):
        gibbs_samples(1, values, [2, 3], 7, np.random.default_rng(0))
    with pytest.raises(InputError, match="n must be at least 1"):
        gibbs_samples(0, values, [2, 3], 6, np.random.default_rng(0))


def test_marginals_and_samples_keep_floors() -> None:
    bits, total, floors = [2, 3, 5, 6], 15, [3, 0, 5, 2]
    values = np.random.default_rng(0).normal(size=(1, 4, 4))
    floored = forbid_below(torch.from_numpy(values), bits, floors)
    every = all_allocations(4, bits, total)
    kept = every[(np.array(bits)[every] >= np.array(floors)).all(1)]
    assert 3 < len(kept) < len(every)
    law = gibbs_law(values[0], kept, 1.0)
    expected = marginals_by_hand(values[0], kept, law)
    np.testing.assert_allclose(marginals(floored, bits, total).numpy()[0], expected, atol=1e-12)
    drawn = gibbs_samples(500, floored, bits, total, np.random.default_rng(1)).numpy()[:, 0]
    assert {tuple(row) for row in drawn.tolist()} <= {tuple(row) for row in kept.tolist()}
