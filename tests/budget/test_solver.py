"""The solver against brute force, and against OR-Tools CP-SAT where brute force cannot go."""

import heapq
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from ortools.sat.python import cp_model

from bitcliff import compiled
from bitcliff.budget import count_allocations, forbid_below, solve
from bitcliff.errors import InfeasibleBudget, InputError, NumericError
from tests.budget.brute_force import (
    Array,
    all_allocations,
    random_bits,
    random_total,
    sums_of,
)

BATCH = 12


@pytest.fixture(autouse=True, params=["numpy", "compiled"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two solves; everything below holds for both, ties included."""
    monkeypatch.setattr(compiled, "_PATIENCE", 1 << 62 if request.param == "numpy" else -1)
    return str(request.param)


def test_the_loops_are_compiled_here(path: str) -> None:
    """Else half of the tests below would say nothing."""
    there = compiled.loops_in("bitcliff.budget.loops", 0) is not None
    assert there == (path == "compiled")


def random_instance(seed: int, ties: bool) -> tuple[Array, list[int], int]:
    """Values (BATCH, L, O), bits and a total that is feasible if nothing is forbidden."""
    rng = np.random.default_rng(seed)
    bits, length = random_bits(rng), int(rng.integers(1, 6))
    size = (BATCH, length, len(bits))
    if ties:
        values = rng.integers(-2, 3, size).astype(float)
    else:
        values = rng.normal(size=size) * 10.0 ** rng.integers(-6, 7)
    values[rng.random(size) < rng.choice([0.0, 0.1, 0.4])] = -np.inf
    return values, bits, random_total(rng, length, bits)


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("first_seed", range(0, 300, 50))
def test_agrees_with_brute_force(first_seed: int, ties: bool) -> None:
    """7,200 random examples in all: the value, the lexicographic tie rule, and infeasibility."""
    for seed in range(first_seed, first_seed + 50):
        values, bits, total = random_instance(seed, ties)
        allocations = all_allocations(values.shape[1], bits, total)
        sums = np.array([sums_of(example, allocations) for example in values])
        feasible = sums.max(axis=1) > -np.inf
        if feasible.any():
            found = solve(torch.from_numpy(values[feasible]), bits, total).numpy()
            # allocations ascend lexicographically, so the first maximum is the one that is due.
            np.testing.assert_array_equal(found, allocations[sums[feasible].argmax(axis=1)])
        if not feasible.all():
            stuck = int(np.flatnonzero(~feasible)[0])
            with pytest.raises(InfeasibleBudget, match=rf"example {stuck}\b"):
                solve(torch.from_numpy(values), bits, total)


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("first_seed", range(1000, 1200, 50))
def test_k_best_agree_with_brute_force(first_seed: int, ties: bool) -> None:
    """4,800 random examples in all, sorted by value and then by widths."""
    for seed in range(first_seed, first_seed + 50):
        values, bits, total = random_instance(seed, ties)
        allocations = all_allocations(values.shape[1], bits, total)
        sums = np.array([sums_of(example, allocations) for example in values])
        open_ = (sums > -np.inf).sum(axis=1)
        k = int(np.random.default_rng(seed).integers(1, 12))
        if (open_ >= k).any():
            found = solve(torch.from_numpy(values[open_ >= k]), bits, total, k=k).numpy()
            order = np.argsort(-sums[open_ >= k], axis=1, kind="stable")[:, :k]
            np.testing.assert_array_equal(found, allocations[order])
        if (open_ < k).any():
            with pytest.raises(InfeasibleBudget):
                solve(torch.from_numpy(values), bits, total, k=k)


def optimum_by_cp_sat(values: Array, bits: Sequence[int], total: int) -> int:
    """The best sum of one example's integer values, (L, O), proven by CP-SAT."""
    model = cp_model.CpModel()
    picks = [[model.new_bool_var("") for _ in bits] for _ in values]
    for row in picks:
        model.add_exactly_one(row)
    for row, profits in zip(picks, values, strict=True):
        for pick, profit in zip(row, profits, strict=True):
            if profit == -np.inf:
                model.add(pick == 0)
    model.add(sum(p * width for row in picks for p, width in zip(row, bits, strict=True)) == total)
    model.maximize(
        sum(
            pick * int(profit)
            for row, profits in zip(picks, values, strict=True)
            for pick, profit in zip(row, profits, strict=True)
            if profit > -np.inf
        )
    )
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    assert solver.solve(model) == cp_model.OPTIMAL
    return round(solver.objective_value)


@pytest.mark.parametrize("length", [20, 49, 84])
@pytest.mark.parametrize("bits", [range(3, 11), (2, 3, 5, 8, 16)])
@pytest.mark.parametrize("forbidden", [0.0, 0.2])
def test_agrees_with_cp_sat(length: int, bits: Sequence[int], forbidden: float) -> None:
    rng = np.random.default_rng(length)
    for _ in range(2):
        values = rng.integers(-1000, 1001, (length, len(bits))).astype(float)
        total = random_total(rng, length, bits)
        values[rng.random(values.shape) < forbidden] = -np.inf
        [found] = solve(torch.from_numpy(values)[None], bits, total).numpy()
        assert sum(bits[option] for option in found) == total
        assert values[np.arange(length), found].sum() == optimum_by_cp_sat(values, bits, total)


def test_ties_go_to_the_lowest_width_at_the_first_point() -> None:
    # All allocations tie: cheap points come first, the dear ones last.
    assert solve(torch.zeros(1, 4, 3), [2, 3, 4], 12).tolist() == [[0, 0, 2, 2]]
    assert solve(torch.zeros(1, 3, 3), [2, 3, 4], 8, k=3).tolist() == [
        [[0, 0, 2], [0, 1, 1], [0, 2, 0]]
    ]


def test_k_best_at_full_size() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3, 84, 8, generator=generator)
    found = solve(values, range(3, 11), 462, k=50)
    assert found.shape == (3, 50, 84)
    assert ((found + 3).sum(dim=2) == 462).all()
    sums = values.double().gather(2, found.transpose(1, 2)).sum(dim=1)
    assert (sums.diff(dim=1) <= 1e-12).all()
    assert all(len({tuple(row) for row in example}) == 50 for example in found.tolist())
    torch.testing.assert_close(found[:, 0], solve(values, range(3, 11), 462), rtol=0, atol=0)


def test_k_best_sums_at_full_size() -> None:
    """Independent route: keep the five best sums of every total, point after point, in a dict."""
    values = np.random.default_rng(3).normal(size=(84, 8))
    best = {0: [0.0]}
    for profits in values:
        longer: dict[int, list[float]] = {}
        for total, sums in best.items():
            for width, profit in zip(range(3, 11), profits, strict=True):
                longer.setdefault(total + width, []).extend(profit + s for s in sums)
        best = {total: heapq.nlargest(5, sums) for total, sums in longer.items()}
    [found] = solve(torch.from_numpy(values)[None], range(3, 11), 462, k=5).numpy()
    sums = [values[np.arange(84), allocation].sum() for allocation in found]
    assert sums == pytest.approx(best[462], rel=1e-12)


def test_examples_do_not_depend_on_each_other() -> None:
    values = torch.randn(150, 9, 4, generator=torch.Generator().manual_seed(1))
    together = solve(values, [2, 4, 5, 9], 44)
    alone = torch.cat([solve(example[None], [2, 4, 5, 9], 44) for example in values])
    assert together.equal(alone)
    top = solve(values, [2, 4, 5, 9], 44, k=4)
    assert top[101:102].equal(solve(values[101:102], [2, 4, 5, 9], 44, k=4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_float_type_and_layout(dtype: torch.dtype) -> None:
    values = torch.randn(5, 8, 6, generator=torch.Generator().manual_seed(2)).to(dtype)
    turned = values.permute(0, 2, 1).requires_grad_()
    expected = solve(values.double().permute(0, 2, 1).contiguous(), range(1, 9), 24)
    assert solve(turned, range(1, 9), 24).equal(expected)


def test_small_values_beside_huge_ones_still_count() -> None:
    # A soft ban must not drown the other options' values.
    values = torch.tensor([[[1e-6, 2e-6, -1e30], [3e-6, 1e-6, -1e30]]], dtype=torch.float64)
    assert solve(values, [2, 3, 4], 5).tolist() == [[1, 0]]


def test_empty_batch() -> None:
    assert solve(torch.zeros(0, 4, 2), [2, 3], 9).shape == (0, 4)
    assert solve(torch.zeros(0, 4, 2), [2, 3], 9, k=2).shape == (0, 2, 4)


def test_infeasible_total_says_what_is_feasible() -> None:
    expected = r"total 20 .* 2 points of 3\.\.8 bits: .*6 to 16 \(means between 3 and 8 bits\)"
    with pytest.raises(InfeasibleBudget, match=expected):
        solve(torch.zeros(1, 2, 6), range(3, 9), 20)


def test_forbidden_options_say_what_is_left() -> None:
    values = torch.zeros(2, 2, 3)
    values[1, :, 0] = -torch.inf
    with pytest.raises(InfeasibleBudget, match=r"example 1 .* 6 to 8 \(means between 3 and 4"):
        solve(values, [2, 3, 4], 5)
    values[1, 1, :] = -torch.inf
    with pytest.raises(InfeasibleBudget, match="every option of point 1"):
        solve(values, [2, 3, 4], 5)


def test_too_large_k_names_the_count() -> None:
    count = count_allocations(3, [2, 3], 7)
    with pytest.raises(InfeasibleBudget, match=rf"only {count} at total 7"):
        solve(torch.zeros(1, 3, 2), [2, 3], 7, k=count + 1)
    assert solve(torch.zeros(1, 3, 2), [2, 3], 7, k=count).shape == (1, count, 3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(bad: float) -> None:
    values = torch.zeros(4, 3, 2)
    values[2, 1, 0] = bad
    with pytest.raises(NumericError, match="example 2, point 1, option 0"):
        solve(values, [2, 3], 7)


def test_overflow_is_refused() -> None:
    with pytest.raises(NumericError, match="overflows"):
        solve(torch.full((1, 3, 2), -1e308, dtype=torch.float64), [2, 3], 7)


@pytest.mark.parametrize("bits", [[3, 2], [2, 2], [0, 1], [-1, 1], []])
def test_bits_out_of_order_are_refused(bits: list[int]) -> None:
    with pytest.raises(InputError, match="bits"):
        solve(torch.zeros(1, 3, 2), bits, 7)


@pytest.mark.parametrize("shape", [(1, 3, 4), (1, 0, 2), (3, 2), (1, 1, 3, 2)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    # Where jaxtyping watches (as in CI), it refuses the wrong number of dimensions first.
    with pytest.raises((InputError, TypeCheckError)):
        solve(torch.zeros(shape), [2, 3], 7)


def test_other_types_are_refused() -> None:
    values = torch.zeros(1, 3, 2)
    for bits, total, k in (([2.0, 3.0], 7, None), ([2, 3], 7.0, None), ([2, 3], 7, 1.0)):
        with pytest.raises((InputError, TypeCheckError)):
            solve(values, bits, total, k)  # type: ignore[arg-type]
    for k in (0, -1):
        with pytest.raises(InputError, match="k must be at least 1"):
            solve(values, [2, 3], 7, k)


@pytest.mark.parametrize("seed", range(60))
def test_floors_agree_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, bits, total = random_instance(seed, ties=bool(seed % 2))
    length = values.shape[1]
    floors = [int(rng.integers(0, bits[-1] + 1)) for _ in range(length)]
    every = all_allocations(length, bits, total)
    kept = every[(np.array(bits)[every] >= np.array(floors)).all(1)]
    floored = forbid_below(torch.from_numpy(values), bits, floors)
    sums = np.array([sums_of(example, kept) for example in values])
    feasible = sums.max(axis=1, initial=-np.inf) > -np.inf
    if feasible.any():
        found = solve(floored[torch.from_numpy(feasible)], bits, total).numpy()
        np.testing.assert_array_equal(found, kept[sums[feasible].argmax(axis=1)])
    if not feasible.all():
        with pytest.raises(InfeasibleBudget, match=rf"example {np.flatnonzero(~feasible)[0]}\b"):
            solve(floored, bits, total)


def test_a_floor_for_each_point() -> None:
    with pytest.raises(InputError, match="one for each of 2 points, got 1"):
        forbid_below(torch.zeros(1, 2, 2), [2, 3], [2])
