"""Small search problems, and brute force over all of their allocations."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bitcliff.audit import search
from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.search import Best, Problem, even_allocation, generator
from bitcliff.points import Attachment, discover
from bitcliff.policy.random import draw_allocations

OPTIONS = (3, 4, 5, 6)


def evaluator_of(
    model: nn.Module, inputs: Tensor, scheme: str = "onnx", batch_size: int = 16
) -> Evaluator:
    """Margins against the float prediction; searches never rest, but at their effort's end."""
    model = model.eval().requires_grad_(False)
    attachment = Attachment(model, discover(model, inputs), scheme)
    evaluator = Evaluator(attachment, inputs, batch_size)
    evaluator.reference = evaluator.float_scores(torch.arange(len(inputs))).predictions
    evaluator.scale = float("inf")
    return evaluator


def run_by(problem: Problem) -> Evaluator:
    """What runs a problem's network, which here is always an evaluator."""
    assert isinstance(problem.evaluator, Evaluator)
    return problem.evaluator


def points_of(problem: Problem) -> int:
    """L."""
    return len(run_by(problem).attachment.plan)


def problem_of(
    evaluator: Evaluator,
    options: Sequence[int],
    total: int,
    sign: int = 1,
    shared: bool = False,
    floors: Sequence[int] | None = None,
) -> Problem:
    """One group an example, or one for all."""
    index = torch.arange(len(evaluator.reference))
    groups = torch.zeros_like(index) if shared else index
    return Problem(evaluator, index, groups, torch.tensor(options), total, sign, floors)


def all_allocations(points: int, options: Sequence[int], total: int) -> Tensor:
    """Every allocation of exactly `total` bits, (count, points)."""
    found = [b for b in itertools.product(options, repeat=points) if sum(b) == total]
    return torch.tensor(found)


def brute_force(evaluator: Evaluator, allocations: Tensor) -> Tensor:
    """The margin of every example under every allocation, (allocations, n)."""
    index = torch.arange(len(evaluator.reference))
    rows = [evaluator.margins(index, bits.expand(len(index), -1)) for bits in allocations]
    return torch.stack(rows)


def gradient_search(problem: Problem, rounds: int = 6, exchanges: int = 40, seed: int = 0) -> Best:
    """The whole main search, as the schedule runs it."""
    even = even_allocation(problem, points_of(problem))
    return search.gradient_search(problem, even, rounds, exchanges, generator(seed))


def wins_over_uniform_draws(found: Best, draws: int) -> float:
    """Share of examples where a search beats as many random allocations, less where it loses."""
    problem = found.problem
    points = found.bits.shape[1]
    best = Best(problem, even_allocation(problem, points))
    for number in range(draws):
        rng = generator(99, number)
        options = problem.options.tolist()
        best.offer(draw_allocations(len(best.bits), points, options, problem.total, rng))
    better, worse = found.cost < best.cost, found.cost > best.cost
    return float(better.double().mean() - worse.double().mean())
