"""Plans that give each layer one of several shipped formats, the same for all examples.

What a deployed mixed-precision system runs. Costs are the bits of an activation's value with its
share of a block's scale, in 1/32 bit, and every plan of a budget costs exactly the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores, margins
from bitcliff.audit.outcomes import Trial, given_by, median_of
from bitcliff.audit.prepare import Prepared, mix_cost
from bitcliff.audit.search import ROUND_COST, Problem, even_allocation, gradient_search
from bitcliff.budget import freedom_log2, sample_allocations
from bitcliff.record import Condition
from bitcliff.record.conditions import Kind
from bitcliff.types.presets import Format
from bitcliff.types.settings import COST_UNIT

Halves = tuple[Int[Tensor, " chosen"], Int[Tensor, " reported"]]
Seed = Callable[[str], np.random.Generator]
MixStep = tuple[Condition, int, Callable[[Condition], Trial]]
"""A condition, its cost in forward passes, and what measures it."""

# Examples in a half on which a plan is chosen.
_FEWEST = 2


@dataclass(frozen=True)
class PlanRunner:
    """Runs the network with a format at each point; a plan is a row of numbers of `formats`."""

    evaluator: Evaluator
    formats: tuple[Format, ...]

    @property
    def scale(self) -> float:
        """The usual size of a float margin."""
        return self.evaluator.scale

    def plan(self, numbers: Int[Tensor, " points"]) -> tuple[Format, ...]:
        """The format at each point."""
        return tuple(self.formats[number] for number in numbers.tolist())

    def scores(self, index: Int[Tensor, " m"], numbers: Int[Tensor, " points"]) -> Scores:
        """What the network gives under a plan."""
        return self.evaluator.format_scores(index, self.plan(numbers))

    def margins(
        self, index: Int[Tensor, " m"], bits: Int[Tensor, "m points"]
    ) -> Float[Tensor, " m"]:
        """Under the one plan that all rows of `bits` are, before a last softmax or sigmoid; +inf on
        a numeric failure."""
        scores = self.evaluator.format_scores(index, self.plan(bits[0]), followable=True)
        found = margins(scores.logits, self.evaluator.reference[index])
        return torch.where(scores.finite, found, float("inf"))

    def gradients(
        self, index: Int[Tensor, " m"], bits: Int[Tensor, "m points"], options: Int[Tensor, " o"]
    ) -> Float[Tensor, "m points o"]:
        """Of the examples' mean, for each of them: weights have one gradient for all."""
        weighed = tuple(self.formats[number] for number in options.tolist())
        total = self.evaluator.format_gradients(index, self.plan(bits[0]), weighed)
        return (total / len(index)).expand(len(index), -1, -1)


@dataclass(frozen=True)
class Mixes:
    """The conditions of a run that mix formats.

    Attributes:
        seed: by a name, a random stream of its own.
        halves: of the examples, one to choose a plan on, the other to report it on.
    """

    prepared: Prepared
    seed: Seed
    halves: Halves

    @property
    def names(self) -> tuple[str, ...]:
        """Of the formats, the cheapest first."""
        return tuple(self.prepared.settings.mix)

    @property
    def costs(self) -> list[int]:
        """Of the formats, in 1/32 bit."""
        return list(self.prepared.settings.mix.values())

    @property
    def batch(self) -> int | None:
        """Examples at once, where some format has a scale that a batch shares."""
        isolated = all(one.isolated for one in self.runner.formats)
        return None if isolated else self.prepared.evaluator.batch_size

    @property
    def runner(self) -> PlanRunner:
        """Of the network, under these formats."""
        formats = tuple(map(self.prepared.settings.format_of, self.names))
        return PlanRunner(self.prepared.evaluator, formats)

    def steps(self) -> Iterator[MixStep]:
        """Each format everywhere, then at each budget plans at random, the worst and the best."""
        asked, n, points = self.prepared.settings, len(self.prepared.examples), self._points
        for name, cost in asked.mix.items():
            if name not in asked.numerics:
                yield self._alone(name, cost), n, self._everywhere
        for mean in asked.budgets:
            cost = mix_cost(mean, points, asked)
            freedom = freedom_log2(points, self.costs, cost)

            def condition(
                kind: Kind, words: str, mean: float = mean, cost: int = cost, free: float = freedom
            ) -> Condition:
                return Condition(
                    kind=kind,
                    description=words,
                    mean_bits=mean,
                    options=list(self.names),
                    cost_32nds=cost,
                    policy_freedom_log2=free,
                    batch_size=self.batch,
                )

            once = asked.rounds * ROUND_COST + asked.exchanges + 1
            half = n // 2 * (2 * once + asked.draws + 1)
            words = "one of these formats at each layer, at random, alike for all examples"
            yield condition("random-mix", words), asked.draws * n, self._random
            if len(self.halves[0]) < _FEWEST:
                continue
            words = "the {} mix of these formats found, chosen on one half of the examples"
            yield condition("worst-mix", words.format("worst")), half, self._worst
            yield condition("best-mix", words.format("best")), half, self._best

    @property
    def _points(self) -> int:
        return len(self.prepared.points)

    def _alone(self, name: str, cost: int) -> Condition:
        words = self.prepared.settings.format_of(name).formula
        return Condition(
            kind="one-format",
            description=f"{words}; {self._points} of {self._points} points",
            mean_bits=cost / COST_UNIT,
            numerics=name,
            points_rounded=self._points,
            batch_size=self.batch,
        )

    def _everywhere(self, condition: Condition) -> Trial:
        number = self.names.index(condition.numerics or "")
        plan = torch.full((self._points,), number)
        return Trial(self.prepared.everyone, None, self.runner.scores(self.prepared.everyone, plan))

    def _random(self, condition: Condition) -> Trial:
        """The distribution over draws; the outcomes are those of the draw of median accuracy."""
        everyone, asked = self.prepared.everyone, self.prepared.settings
        rng = self.seed(condition.name)
        plans = sample_allocations(
            asked.draws, self._points, self.costs, condition.cost_32nds or 0, rng
        )
        reference = self.prepared.evaluator.reference
        given = [given_by(self.runner.scores(everyone, plan), reference) for plan in plans]
        predictions = [each.predictions for each in given]
        middle = median_of(predictions, self.prepared.targets)
        words = f"{len(plans)} draws, uniform over all mixes of this cost; median draw shown"
        named = self._named(plans[middle])
        return Trial(everyone, None, given[middle], words, predictions, plan=named)

    def _worst(self, condition: Condition) -> Trial:
        return self._searched(condition, 1)

    def _best(self, condition: Condition) -> Trial:
        return self._searched(condition, -1)

    def _searched(self, condition: Condition, sign: int) -> Trial:
        asked, (chosen, reported) = self.prepared.settings, self.halves
        problem = Problem(
            self.runner,
            chosen,
            groups=torch.zeros(len(chosen), dtype=torch.int64),
            options=torch.arange(len(self.names)),
            total=condition.cost_32nds or 0,
            sign=sign,
            costs=torch.tensor(self.costs),
        )
        rng = self.seed(condition.name)
        starts = even_allocation(problem, self._points), self._best_draw(problem, rng)
        found = [
            gradient_search(problem, start, asked.rounds, asked.exchanges, rng) for start in starts
        ]
        plan = min(found, key=lambda best: float(best.cost[0])).bits[0]
        words = (
            f"from the even plan and from the best of {asked.draws} draws: gradients summed over "
            f"examples, exact knapsack, {asked.rounds} rounds; then up to {asked.exchanges} "
            f"exchange moves; chosen on {len(chosen)} examples"
        )
        scores = self.runner.scores(reported, plan)
        return Trial(reported, None, scores, words, plan=self._named(plan))

    def _best_draw(self, problem: Problem, rng: np.random.Generator) -> Int[Tensor, "1 points"]:
        """Of as many random plans as were shown, the one that the search would like best."""
        draws = self.prepared.settings.draws
        plans = sample_allocations(draws, self._points, self.costs, problem.total, rng)
        only = torch.tensor([0])
        costs = [float(problem.objective(plan[None], only)[0]) for plan in plans]
        return plans[int(np.argmin(costs))][None]

    def _named(self, plan: Int[Tensor, " points"]) -> list[str]:
        return [self.names[number] for number in plan.tolist()]
