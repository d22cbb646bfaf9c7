"""How much each search finds for its cost: the curve, for one network.

    python -m experiments.search_effort MODEL DATA MEAN [--bits 3:10] [--examples 60] [--passes 200]

Searches for the worst bits of each example at the same exact budget: rounds of gradients followed
by exchange moves, as an assessment looks, and with more rounds, or from the worst of random draws
that are not counted; rounds alone; evolution; random draws; and exchange moves at random from the
even allocation, the local random search that the literature holds attacks against. Cost is in
forward passes an example, a backward pass counting as three. Prints, and keeps in --out, how many
examples have flipped at each cost. What flips is looked at once more with nudged inputs at the
end. `docs/speed.md` has the results.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.prepare import prepare
from bitcliff.audit.search import (
    Best,
    Problem,
    even_allocation,
    evolve,
    exchange,
    generator,
    relinearise,
)
from bitcliff.budget import sample_allocations, total_from_mean
from bitcliff.types.options import ModelOptions
from bitcliff.types.settings import AssessSettings

COSTS = (5, 10, 20, 30, 50, 75, 100, 150, 200)
_REPEATS = 3
Search = Callable[[Best, int], None]


@dataclass
class Watched(Best):
    """Notes what was found at which cost, in forward passes since it began."""

    curve: list[tuple[int, int]] = field(default_factory=list)
    began: int = 0

    @property
    def spent(self) -> int:
        """Since it began."""
        cost: int = self.problem.evaluator.spent.cost  # type: ignore[attr-defined]
        return cost - self.began

    def keep(self, bits: Tensor, cost: Tensor, only: Tensor) -> Tensor:
        """Also note it."""
        better = super().keep(bits, cost, only)
        self.curve.append((self.spent, int((self.cost < 0).sum())))
        return better


def as_assessed(rounds: int, exchanges: int) -> Search:
    """Rounds, then exchange moves, as many of the latter as there is cost for."""

    def search(best: Best, seed: int) -> None:
        gradients = relinearise(best.problem, best, rounds)
        exchange(best.problem, best, gradients, exchanges, generator(seed, 1))

    return search


def at_random(passes: int) -> Search:
    """The worst of as many draws."""

    def search(best: Best, seed: int) -> None:
        problem, rng = best.problem, generator(seed, 2)
        options = problem.options.tolist()
        for _ in range(passes):
            active = (best.cost >= problem.clear).nonzero().flatten()
            if len(active) == 0:
                return
            drawn = sample_allocations(
                len(active), best.bits.shape[1], options, problem.total, rng, problem.floors
            )
            best.offer(problem.options[drawn], active)

    return search


def from_draws(draws: int, rounds: int, exchanges: int) -> Search:
    """As assessed, from the worst of random draws that an assessment has made anyway."""

    def search(best: Best, seed: int) -> None:
        at_random(draws)(best, seed)
        assert isinstance(best, Watched)  # noqa: S101  (`watch` makes no other)
        best.curve.clear()
        best.began += best.spent
        as_assessed(rounds, exchanges)(best, seed)

    return search


def locally_at_random(passes: int) -> Search:
    """Exchange moves of which nothing is promised."""

    def search(best: Best, seed: int) -> None:
        blind = torch.zeros(*best.bits.shape, len(best.problem.options))
        exchange(best.problem, best, blind, passes, generator(seed, 3))

    return search


def searches(passes: int) -> dict[str, Search]:
    """By name; each may spend about as much."""
    return {
        "12 rounds, then exchanges": as_assessed(12, passes - 48),
        "24 rounds, then exchanges": as_assessed(24, passes - 96),
        "40 draws not counted, 12 rounds, exchanges": from_draws(40, 12, passes - 48),
        "rounds alone": as_assessed(passes // 4, 0),
        "evolution": lambda best, seed: evolve(best.problem, best, passes, generator(seed, 4)),
        "random draws": at_random(passes),
        "random exchanges": locally_at_random(passes),
    }


def watch(problem: Problem, evaluator: Evaluator, search: Search, seed: int) -> Watched:
    """A fresh search that has seen the even allocation alone."""
    points = len(evaluator.attachment.plan)
    best = Watched(problem, even_allocation(problem, points), began=evaluator.spent.cost)
    best.offer(best.bits.clone())
    search(best, seed)
    return best


def stay(best: Best, evaluator: Evaluator) -> int:
    """How many of the flips stay in all repeats with nudged inputs."""
    flips = best.cost < 0
    for number in range(_REPEATS):
        again = evaluator.repeat(best.problem.index, best.bits, number)
        if again is not None:
            flips &= again.predictions != evaluator.reference
    return int(flips.sum())


def main() -> None:
    """One network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("mean", type=float)
    parser.add_argument("--bits", default="3:10")
    parser.add_argument("--examples", type=int, default=60)
    parser.add_argument("--passes", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--task")
    parser.add_argument("--only", default="", help="searches whose name has this")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    first, last = map(int, asked.bits.split(":"))
    bits = tuple(range(first, last + 1))
    subject = load_model(asked.model, options=ModelOptions(task=asked.task))
    examples = load_examples(asked.data, subject=subject, limit=asked.examples)
    prepared = prepare(subject, examples, AssessSettings(budgets=(asked.mean,), bits=bits))
    evaluator, n = prepared.evaluator, len(examples)
    total = total_from_mean(asked.mean, len(prepared.points), bits, prepared.floors)
    problem = Problem(evaluator, prepared.everyone, prepared.everyone, torch.tensor(bits), total)
    found = []
    costs = [most for most in COSTS if most <= asked.passes]
    chosen = {name: one for name, one in searches(asked.passes).items() if asked.only in name}
    for name, search in chosen.items():
        for seed in range(asked.seeds):
            best = watch(problem, evaluator, search, seed)
            within = [[f for cost, f in best.curve if cost <= n * most] for most in costs]
            row = {
                "search": name,
                "seed": seed,
                "flips": [max(flips, default=0) for flips in within],
                "spent": best.curve[-1][0] / n,
                "stay": stay(best, evaluator),
            }
            print(row, flush=True)
            found.append(row)
    if asked.out is not None:
        kept = {"model": asked.model, "n": n, "mean": asked.mean, "costs": costs, "rows": found}
        asked.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
