"""The policies of a run: each one measured, in order, on frozen weights.

`Suite.steps` lists them with their cost, so that a caller can show progress, skip what it has, and
store what it gets.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.assess.evaluate import Evaluator, Scores
from bitcliff.assess.measured import Measured, outcomes_of, predictions_of
from bitcliff.assess.search import (
    Best,
    Problem,
    even_allocation,
    evolve,
    exchange,
    generator,
    relinearise,
)
from bitcliff.assess.settings import AssessSettings
from bitcliff.budget import freedom_log2, total_from_mean
from bitcliff.points import take
from bitcliff.policy import Batch, Policy, RandomPerExample, RandomStatic, Uniform
from bitcliff.records import Effort
from bitcliff.records.schema import Threat
from bitcliff.stats import median_index

# A backward pass with all options weighed costs about this many forward passes.
_SLOPES_COST = 4


@dataclass(frozen=True)
class Step:
    """One policy to measure. `cost`: examples to pass forward at most, for progress."""

    name: str
    cost: int
    measure: Callable[[], Measured]


@dataclass
class Suite:
    """Everything the steps share.

    Attributes:
        evaluator: the attached network and its data; its reference already set.
        labels: (n,) or None. n, points: sizes.
        done: what was measured so far, by name; searches take up what random draws found.
    """

    evaluator: Evaluator
    labels: Int[Tensor, " n"] | None
    n: int
    settings: AssessSettings
    done: dict[str, Measured]

    @property
    def points(self) -> int:
        """L."""
        return len(self.evaluator.attachment.plan)

    @property
    def everyone(self) -> Int[Tensor, " n"]:
        """The places of all examples."""
        return torch.arange(self.n)

    def totals(self) -> dict[float, int]:
        """Each mean's exact total; InfeasibleBudget before any work."""
        bits = list(self.settings.bits)
        return {mean: total_from_mean(mean, self.points, bits) for mean in self.settings.budgets}

    def steps(self) -> Iterator[Step]:
        """All policies in order."""
        yield Step("weights-only", self.n, self._weights_only)
        for width in self.settings.uniform:
            yield Step(f"uniform-{width}", self.n, partial(self._uniform, width))
        for mean, total in self.totals().items():
            yield from self._steps_at(mean, total)

    def _steps_at(self, mean: float, total: int) -> Iterator[Step]:
        effort, n = self.settings.effort, self.n
        search = effort.rounds * (_SLOPES_COST + 1) + effort.exchanges + 2
        yield Step(f"random-{mean:g}", effort.draws * n, partial(self._random, mean, total))
        yield Step(
            f"random-static-{mean:g}", effort.draws * n, partial(self._random_static, mean, total)
        )
        yield Step(f"worst-{mean:g}", search * n, partial(self._worst, mean, total))
        if n >= 4:
            yield Step(
                f"worst-static-{mean:g}", search * n // 2, partial(self._worst_static, mean, total)
            )
        if effort.evaluations:
            yield Step(
                f"worst-evolutionary-{mean:g}",
                effort.evaluations * n,
                partial(self._evolutionary, mean, total),
            )
        yield Step(f"friendliest-{mean:g}", search * n, partial(self._friendliest, mean, total))

    def _weights_only(self) -> Measured:
        before = self._before()
        scores = self.evaluator.weights_only_scores(self.everyone)
        width = self.settings.weight_bits
        words = f"weights rounded to {width} bits, activations in float" if width else "float"
        return Measured(
            name="weights-only",
            threat="none",
            description=words,
            mean_bits=None,
            total_bits=None,
            policy_freedom_log2=None,
            allocation=None,
            effort=self._effort(before, "measured once"),
            outcomes=outcomes_of(scores, self.evaluator.reference, self.everyone),
        )

    def _uniform(self, width: int) -> Measured:
        before = self._before()
        policy = Uniform(self.points, width)
        bits = self._bits(policy)
        scores = self.evaluator.scores(self.everyone, bits)
        return self._measured(
            f"uniform-{width}",
            f"{width} bits at every point",
            float(width),
            policy.total,
            before,
            "measured once",
            scores,
            self.everyone,
            bits,
            freedom=0.0,
            allocation=policy.bits.tolist(),
        )

    def _random(self, mean: float, total: int) -> Measured:
        make = partial(RandomPerExample, self.points, self.settings.bits, total)
        return self._draws(
            f"random-{mean:g}", "bits drawn at random for each example", mean, total, make
        )

    def _random_static(self, mean: float, total: int) -> Measured:
        make = partial(RandomStatic, self.points, self.settings.bits, total)
        return self._draws(
            f"random-static-{mean:g}", "one random draw of bits for all", mean, total, make
        )

    def _draws(
        self, name: str, words: str, mean: float, total: int, make: Callable[[int], Policy]
    ) -> Measured:
        """The distribution over draws; the outcomes are those of the draw of median accuracy."""
        before = self._before()
        seeds = self._seed(name).integers(0, 2**31, self.settings.effort.draws).tolist()
        tables = [self._bits(make(seed)) for seed in seeds]
        scores = [self.evaluator.scores(self.everyone, bits) for bits in tables]
        predictions = [predictions_of(each) for each in scores]
        middle = median_index([self._right(draw) for draw in predictions])
        shared = bool((tables[middle] == tables[middle][0]).all()) and self.n > 1
        return self._measured(
            name,
            words,
            mean,
            total,
            before,
            f"{len(seeds)} draws, uniform over all feasible allocations; median draw shown",
            scores[middle],
            self.everyone,
            tables[middle],
            draws=predictions,
            allocation=tables[middle][0].tolist() if shared else None,
        )

    def _worst(self, mean: float, total: int) -> Measured:
        before = self._before()
        problem = self._problem(total, sign=1)
        best = self._gradient_search(problem, f"worst-{mean:g}", stop_below=0.0)
        for candidate, only in self._flips_by_chance(mean, best):
            best.offer(candidate, only)
        return self._found(
            f"worst-{mean:g}",
            "the worst bits found for each example by an adversary who sees it",
            mean,
            problem,
            best,
            before,
            self._gradient_words(),
        )

    def _friendliest(self, mean: float, total: int) -> Measured:
        before = self._before()
        problem = self._problem(total, sign=-1)
        # Rest once the decision holds by a logit: it is safe by then.
        best = self._gradient_search(problem, f"friendliest-{mean:g}", stop_below=-1.0)
        return self._found(
            f"friendliest-{mean:g}",
            "the kindest bits found for each example: what a good policy could reach",
            mean,
            problem,
            best,
            before,
            self._gradient_words(),
            threat="none",
        )

    def _evolutionary(self, mean: float, total: int) -> Measured:
        before = self._before()
        name = f"worst-evolutionary-{mean:g}"
        problem = self._problem(total, sign=1)
        best = Best(problem, even_allocation(problem, self.points))
        evaluations = self.settings.effort.evaluations
        evolve(problem, best, evaluations, self._seed(name), stop_below=0.0)
        return self._found(
            name,
            "the worst bits found for each example without gradients, as a check on the search",
            mean,
            problem,
            best,
            before,
            f"evolution, {evaluations} evaluations an example at most, until it flips",
        )

    def _worst_static(self, mean: float, total: int) -> Measured:
        """Chosen on one half, reported on the other."""
        before = self._before()
        name = f"worst-static-{mean:g}"
        chosen, reported = self._halves()
        groups = torch.zeros(len(chosen), dtype=torch.int64)
        problem = self._problem(total, sign=1, index=chosen, groups=groups)
        best = self._gradient_search(problem, name)
        bits = best.bits.expand(len(reported), -1)
        scores = self.evaluator.scores(reported, bits)
        return self._measured(
            name,
            "one bad allocation for all, chosen on one half of the examples, shown on the other",
            mean,
            total,
            before,
            f"{self._gradient_words()}; chosen on {len(chosen)} examples",
            scores,
            reported,
            bits,
            threat="policy-only",
            allocation=best.bits[0].tolist(),
        )

    def _gradient_search(
        self, problem: Problem, name: str, stop_below: float = -torch.inf
    ) -> Best:
        best = Best(problem, even_allocation(problem, self.points))
        best.offer(best.bits.clone())
        slopes = relinearise(problem, best, self.settings.effort.rounds)
        exchange(
            problem, best, slopes, self.settings.effort.exchanges, self._seed(name), stop_below
        )
        return best

    def _flips_by_chance(
        self, mean: float, best: Best
    ) -> Iterator[tuple[Int[Tensor, "g points"], Int[Tensor, " g"]]]:
        """Random allocations known to flip an example that the search has not flipped."""
        for name in (f"random-{mean:g}", f"random-static-{mean:g}"):
            if (known := self.done.get(name)) is None:
                continue
            kind = RandomStatic if "static" in name else RandomPerExample
            seeds = self._seed(name).integers(0, 2**31, self.settings.effort.draws).tolist()
            for number, seed in enumerate(seeds):
                draw = [(known.outcomes[place].draws or [])[number] for place in range(self.n)]
                flipped = [
                    place
                    for place, prediction in enumerate(draw)
                    if prediction is not None
                    and prediction != int(self.evaluator.reference[place])
                    and float(best.cost[place]) >= 0
                ]
                if flipped:
                    policy = kind(self.points, self.settings.bits, best.problem.total, seed)
                    only = torch.tensor(flipped)
                    yield self._bits(policy, only), only

    def _found(
        self,
        name: str,
        words: str,
        mean: float,
        problem: Problem,
        best: Best,
        before: tuple[int, int],
        method: str,
        threat: Threat = "policy-only",
    ) -> Measured:
        scores = self.evaluator.scores(problem.index, best.bits)
        return self._measured(
            name,
            words,
            mean,
            problem.total,
            before,
            method,
            scores,
            problem.index,
            best.bits,
            threat=threat,
        )

    def _measured(
        self,
        name: str,
        description: str,
        mean: float,
        total: int,
        before: tuple[int, int],
        method: str,
        scores: Scores,
        index: Int[Tensor, " m"],
        bits: Int[Tensor, "m points"],
        *,
        threat: Threat = "none",
        freedom: float | None = None,
        allocation: list[int] | None = None,
        draws: list[list[int | None]] | None = None,
    ) -> Measured:
        if freedom is None:
            freedom = freedom_log2(self.points, list(self.settings.bits), total)
        return Measured(
            name=name,
            threat=threat,
            description=description,
            mean_bits=mean,
            total_bits=total,
            policy_freedom_log2=freedom,
            allocation=allocation,
            effort=self._effort(before, method),
            outcomes=outcomes_of(scores, self.evaluator.reference[index], index, bits, draws),
        )

    def _problem(
        self,
        total: int,
        sign: int,
        index: Int[Tensor, " m"] | None = None,
        groups: Int[Tensor, " m"] | None = None,
    ) -> Problem:
        index = self.everyone if index is None else index
        groups = torch.arange(len(index)) if groups is None else groups
        options = torch.tensor(self.settings.bits)
        return Problem(self.evaluator, index, groups, options, total, sign)

    def _bits(
        self, policy: Policy, index: Int[Tensor, " m"] | None = None
    ) -> Int[Tensor, "m points"]:
        index = self.everyone if index is None else index
        return policy(Batch(take(self.evaluator.inputs, index), index))

    def _right(self, predictions: list[int | None]) -> int:
        # Without labels, right is what the network says in float: then the reference is just that.
        wanted = self.evaluator.reference if self.labels is None else self.labels
        return sum(p is not None and p == w for p, w in zip(predictions, wanted.tolist(), strict=True))

    def _halves(self) -> tuple[Int[Tensor, " chosen"], Int[Tensor, " reported"]]:
        order = torch.from_numpy(self._seed("halves").permutation(self.n).copy())
        return order[: self.n // 2].sort().values, order[self.n // 2 :].sort().values

    def _seed(self, name: str) -> np.random.Generator:
        return generator(self.settings.seed, *name.encode())

    def _before(self) -> tuple[int, int]:
        spent = self.evaluator.spent
        return spent.forward, spent.backward

    def _effort(self, before: tuple[int, int], method: str) -> Effort:
        forward, backward = self._before()
        return Effort(
            forward_passes=forward - before[0],
            backward_passes=backward - before[1],
            method=method,
        )

    def _gradient_words(self) -> str:
        effort = self.settings.effort
        return (
            f"gradient, exact knapsack, {effort.rounds} rounds; then up to {effort.exchanges} "
            "exchange moves an example"
        )
