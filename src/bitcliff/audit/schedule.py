"""The conditions of a run: each one measured, in order, on frozen weights.

`Schedule.steps` lists them with their cost, so that a caller can show progress, skip what it has,
and store what it gets.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.likelihood import Noted, noting, with_likelihood
from bitcliff.audit.mixes import Mixes
from bitcliff.audit.outcomes import Trial, given_by, median_of, outcomes_of, predictions_of
from bitcliff.audit.prepare import Prepared
from bitcliff.audit.reading import Again, reading_of
from bitcliff.audit.rerun import in_batches, rerun
from bitcliff.audit.search import (
    ROUND_COST,
    Best,
    Problem,
    even_allocation,
    evolve,
    generator,
    gradient_search,
)
from bitcliff.budget import freedom_log2, total_from_mean
from bitcliff.errors import InputError
from bitcliff.points.forward import part_of
from bitcliff.policy import Batch, Policy, RandomPerExample, RandomStatic, Static, Uniform
from bitcliff.record import Condition, Effort, Measured, Outcomes
from bitcliff.record.arrays import NONE
from bitcliff.record.conditions import Kind
from bitcliff.types.presets import Format
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import AssessSettings

# How often what a search found is run again with a nudged input.
_REPEATS = 3
# A half must hold two examples or more.
_FEWEST_FOR_HALVES = 4

# Seeds are made of a condition's name; what was called otherwise at first keeps its numbers.
_FIRST_CALLED = {"best": "friendliest"}

_DRAWS: Mapping[Kind, type[RandomPerExample | RandomStatic]] = {
    "random": RandomPerExample,
    "random-static": RandomStatic,
}
"""Random policies whose draws a worst case at the same mean takes up."""


@dataclass(frozen=True)
class Step:
    """One condition to measure. `cost`: about how many examples to pass forward, for progress."""

    condition: Condition
    cost: int
    try_out: Callable[[Condition], Trial]

    @property
    def name(self) -> str:
        """The condition's."""
        return self.condition.name


@runtime_checkable
class Store(Protocol):
    """Where measured conditions are kept, so that a killed run goes on from there.

    `started` is when the run first began, UTC, ISO 8601.
    """

    started: str

    def get(self, name: str) -> Measured | None:
        """What was measured before under this name, if anything."""

    def put(self, measured: Measured) -> None:
        """Keep it."""


Progress = Callable[[str, int, int], None]
"""Told the condition that is being measured, and cost done and in all."""


@dataclass(frozen=True)
class Schedule:
    """The conditions of a run on what is prepared.

    Attributes:
        done: what was measured so far, by name; searches take up what random draws found.
    """

    prepared: Prepared
    done: dict[str, Measured] = field(default_factory=dict)

    @property
    def evaluator(self) -> Evaluator:
        """The network attached to its data."""
        return self.prepared.evaluator

    @property
    def settings(self) -> AssessSettings:
        """What was asked for."""
        return self.prepared.settings

    @property
    def points(self) -> int:
        """L."""
        return len(self.prepared.points)

    @property
    def n(self) -> int:
        """How many examples there are."""
        return len(self.prepared.examples)

    def run(self, progress: Progress | None = None, store: Store | None = None) -> None:
        """Measure every condition into `done`, taking up what a store has."""
        steps = list(self.steps())
        names = [step.name for step in steps]
        for twice in {name for name in names if names.count(name) > 1}:
            raise InputError(
                f"two conditions of this run are called {twice}: rename the file of that name"
            )
        whole, cost = sum(step.cost for step in steps), 0
        for step in steps:
            self.evaluator.on_batch = self._teller(step, cost, whole, progress)
            self.evaluator.on_batch()
            measured = store.get(step.name) if store is not None else None
            if measured is None:
                measured = self.measure(step)
                if store is not None:
                    store.put(measured)
            self.done[step.name] = measured
            cost += step.cost
        self.evaluator.on_batch = None
        if progress is not None:
            progress("done", whole, whole)

    def _teller(
        self, step: Step, done: int, whole: int, progress: Progress | None
    ) -> Callable[[], None]:
        start = self.evaluator.spent.cost

        def tell() -> None:
            if progress is not None:
                used = min(self.evaluator.spent.cost - start, step.cost)
                progress(step.name, done + used, whole)

        return tell

    def steps(self) -> Iterator[Step]:
        """All policies in order; of a network that is not looked into, the runtimes alone."""
        if self.settings.options:
            mixes = Mixes(self.prepared, self._seed, self._halves())
            yield from (Step(*step) for step in mixes.steps())
        elif self.points and self.settings.explores_bits:
            yield from self._simulated_steps()
        for name in self.settings.numerics:
            yield from self._format_steps(name)
        for runtime in self.prepared.runtimes:
            yield from self._runtime_steps(runtime)

    def _runtime_steps(self, runtime: Runtime) -> Iterator[Step]:
        what = f"{runtime.version}: {runtime.description}"
        for size in runtime.sizes(self.evaluator.batch_size):
            alone = f"batches of {size} as they come" if size > 1 else "each example by itself"
            condition = Condition(
                kind="runtime",
                description=f"{what}; {alone}",
                runtime=runtime.name,
                runtime_version=runtime.version,
                batch_size=size,
            )
            yield Step(condition, self.n, partial(self._by_runtime, runtime))

    def _format_steps(self, name: str) -> Iterator[Step]:
        shipped = self.settings.format_of(name)
        points = self.prepared.points
        rounded = sum(points.rounds(shipped, point) for point in points.points)
        sizes = (None,) if shipped.isolated else (1, self.evaluator.batch_size)
        for size in dict.fromkeys(sizes):
            condition = Condition(
                kind="numerics",
                description=f"{shipped.formula}; {rounded} of {self.points} points",
                numerics=name,
                points_rounded=rounded,
                batch_size=size,
            )
            yield Step(condition, self.n, partial(self._in_format, shipped))

    def _in_format(self, shipped: Format, condition: Condition) -> Trial:
        scores = self.evaluator.format_scores(
            self.prepared.everyone, (shipped,) * self.points, condition.batch_size
        )
        # In batches, filled up, float runs just so from the first.
        alike = self.prepared.float_otherwise.get(1) if condition.batch_size == 1 else None
        return Trial(self.prepared.everyone, None, scores, in_float=alike)

    def _simulated_steps(self) -> Iterator[Step]:
        n, width = self.n, self.settings.weight_bits
        words = f"weights rounded to {width} bits, activations in float" if width else "float"
        yield Step(Condition(kind="weights-only", description=words), n, self._weights_only)
        for width in () if self.settings.randomised else self.settings.uniform:
            policy, words = self._even(width), f"{width} bits at every point"
            words += ", or its floor where that is more" if self.prepared.floors else ""
            even = Condition(
                kind="uniform",
                description=words,
                width=width,
                mean_bits=policy.total / self.points,
                total_bits=policy.total,
                policy_freedom_log2=0.0,
            )
            yield Step(even, n, partial(self._fixed, policy))
        if (trained := self.prepared.policy) is not None:
            yield Step(_co_trained(trained), n, partial(self._co_trained, trained))
        for mean in self.settings.budgets:
            yield from self._steps_at(mean)

    def _steps_at(self, mean: float) -> Iterator[Step]:
        asked, n = self.settings, self.n
        bits = list(asked.bits)
        total = total_from_mean(mean, self.points, bits, self.prepared.floors)
        freedom = freedom_log2(self.points, bits, total, self.prepared.floors)
        draws = asked.draws * n
        rounds = asked.rounds * ROUND_COST + 2
        search, shared = (rounds + moves for moves in (asked.exchanges, asked.exchanges // 2))

        def step(kind: Kind, words: str, cost: int, try_out: Callable[[Condition], Trial]) -> Step:
            condition = Condition(
                kind=kind,
                description=words,
                mean_bits=mean,
                total_bits=total,
                widths=bits,
                policy_freedom_log2=freedom,
            )
            return Step(condition, cost, try_out)

        yield step("random", "bits drawn at random for each example", draws, self._draws)
        if self.settings.randomised:
            return
        yield step("random-static", "one random draw of bits for all", draws, self._draws)
        words = "the worst bits found for each example by an adversary who sees it"
        yield step("worst", words, search * n, self._worst)
        if n >= _FEWEST_FOR_HALVES:
            words = (
                "one bad allocation for all, chosen on one half of the examples, shown on the other"
            )
            yield step("worst-static", words, shared * n // 2, self._worst_static)
        if asked.evaluations:
            words = (
                "the worst bits found for each example without gradients, as a check on the search"
            )
            yield step("worst-evolutionary", words, asked.evaluations * n, self._evolutionary)
        words = "the best bits found for each example: what a good policy could reach"
        yield step("best", words, search * n, self._best)

    def measure_only(self, names: Collection[str], tell: Callable[[str, int, int], None]) -> None:
        """Measure some conditions into `done`, and the random draws that worst cases take up.

        Without those draws a worst case would be less hard looked for than in a whole run.
        """
        steps = list(self.steps())
        worst = {
            s.condition.mean_bits
            for s in steps
            if s.name in names and s.condition.threat == "allocation"
        }
        chosen = [
            step
            for step in steps
            if step.name in names
            or (step.condition.kind in _DRAWS and step.condition.mean_bits in worst)
        ]
        for number, step in enumerate(chosen):
            tell(step.name, number, len(chosen))
            self.done[step.name] = self.measure(step)

    def measure(self, step: Step) -> Measured:
        """Measure one condition, and what that took."""
        spent = self.evaluator.spent
        forward, backward = spent.forward, spent.backward
        self.evaluator.broken.clear()
        with noting(self.prepared, step.condition) as noted:
            trial = step.try_out(step.condition)
        return Measured(
            condition=step.condition,
            effort=Effort(
                forward_passes=spent.forward - forward,
                backward_passes=spent.backward - backward,
                method=trial.method,
            ),
            outcomes=self._read(trial, step.condition, noted),
            broken=sorted(self.evaluator.broken),
            strays=sorted(self.evaluator.attachment.incidents.strays),
        )

    def _read(self, trial: Trial, condition: Condition, noted: Noted) -> Outcomes:
        """The outcomes; where they are texts, with what the network writes by itself."""
        found = outcomes_of(trial, self.evaluator.reference)
        found = with_likelihood(self.prepared, condition, trial.bits, found, noted)
        reading = reading_of(self.prepared)
        if reading is None:
            return found
        symbols = trial.scores.symbols
        assert symbols is not None  # noqa: S101  (of a task that reads)
        return reading.outcomes(found, symbols, self._again(trial, condition))

    def _again(self, trial: Trial, condition: Condition) -> Again | None:
        """What runs rows of a trial once more; None where that changes who shares a scale."""
        run, index = rerun(self.prepared, condition, trial.bits), trial.index
        if run is None or (condition.batch_size or 1) > 1:
            return None
        # Anew at each call, since what the evaluator is fed changes between.
        return lambda rows: run(in_batches(self.evaluator, condition), index[rows], rows)

    def _weights_only(self, _condition: Condition) -> Trial:
        scores = self.evaluator.weights_only_scores(self.prepared.everyone)
        return Trial(self.prepared.everyone, None, scores)

    def _by_runtime(self, runtime: Runtime, condition: Condition) -> Trial:
        size = condition.batch_size or 1
        scores = self.evaluator.runtime_scores(self.prepared.everyone, runtime.run, size)
        words = f"measured once, in batches of {size}, the last one not filled up"
        return Trial(
            self.prepared.everyone,
            None,
            scores,
            "measured once" if size == 1 else words,
            in_float=self.prepared.float_otherwise.get(size),
        )

    def _even(self, width: int) -> Policy:
        if self.prepared.floors is None:
            return Uniform(self.points, width)
        return Static(torch.tensor(self.prepared.floors).clamp(min=width))

    def _fixed(self, policy: Policy, _condition: Condition) -> Trial:
        bits = self._bits(policy)
        return Trial(
            self.prepared.everyone, bits, self.evaluator.scores(self.prepared.everyone, bits)
        )

    def _co_trained(self, policy: Policy, _condition: Condition) -> Trial:
        bits, everyone = self._bits(policy), self.prepared.everyone
        words = f"measured once; {policy.origin}" if policy.origin else "measured once"
        return Trial(everyone, bits, self.evaluator.scores(everyone, bits), words)

    def _draws(self, condition: Condition) -> Trial:
        """The distribution over draws; the outcomes are those of the draw of median accuracy."""
        everyone, policies = self.prepared.everyone, list(self._random_policies(condition))
        given = [
            given_by(self.evaluator.scores(everyone, self._bits(policy)), self.evaluator.reference)
            for policy in policies
        ]
        predictions = [each.predictions for each in given]
        middle = median_of(predictions, self.prepared.targets)
        words = f"{len(given)} draws, uniform over all feasible allocations; median draw shown"
        return Trial(everyone, self._bits(policies[middle]), given[middle], words, predictions)

    def _random_policies(self, condition: Condition) -> Iterator[Policy]:
        kind = _DRAWS[condition.kind]
        seeds = self._seed(condition.name).integers(0, 2**31, self.settings.draws)
        for seed in seeds.tolist():
            yield kind(self.points, self.settings.bits, condition.total, seed, self.prepared.floors)

    def _worst(self, condition: Condition) -> Trial:
        best = self._gradient_search(condition, self._problem(condition))
        self._flip_by_chance(condition, best)
        return self._found(best, self._gradient_words(best.problem))

    def _best(self, condition: Condition) -> Trial:
        best = self._gradient_search(condition, self._problem(condition, sign=-1))
        return self._found(best, self._gradient_words(best.problem))

    def _evolutionary(self, condition: Condition) -> Trial:
        problem = self._problem(condition)
        best = Best(problem, even_allocation(problem, self.points))
        evaluations = self.settings.evaluations
        evolve(problem, best, evaluations, self._search_seed(condition))
        words = f"evolution, {evaluations} evaluations an example at most, until it clearly flips"
        return self._found(best, words)

    def _worst_static(self, condition: Condition) -> Trial:
        """Chosen on one half, reported on the other."""
        chosen, reported = self._halves()
        groups = torch.zeros(len(chosen), dtype=torch.int64)
        problem = self._problem(condition, index=chosen, groups=groups)
        best = self._gradient_search(condition, problem)
        words = f"{self._gradient_words(problem)}; chosen on {len(chosen)} examples"
        return self._shown(reported, best.bits.expand(len(reported), -1), words)

    def _gradient_search(self, condition: Condition, problem: Problem) -> Best:
        return gradient_search(
            problem,
            even_allocation(problem, self.points),
            self.settings.rounds,
            self._exchanges(problem),
            self._search_seed(condition),
        )

    def _exchanges(self, problem: Problem) -> int:
        """Half as many where all examples share an allocation: each move runs all of them."""
        exchanges = self.settings.exchanges
        return exchanges // 2 if problem.shared else exchanges

    def _flip_by_chance(self, condition: Condition, best: Best) -> None:
        """Offer the random allocations that flip an example which the search has not flipped."""
        reference = self.evaluator.reference.numpy()
        for known in self.done.values():
            draws, same = known.outcomes.draws, known.condition.mean_bits == condition.mean_bits
            if known.condition.kind not in _DRAWS or not same or draws is None:
                continue
            for policy, draw in zip(self._random_policies(known.condition), draws, strict=True):
                flips = torch.from_numpy((draw != NONE) & (draw != reference))
                only = (flips & (best.cost >= 0)).nonzero().flatten()
                if len(only):
                    best.offer(self._bits(policy, only), only)

    def _found(self, best: Best, method: str) -> Trial:
        return self._shown(best.problem.index, best.bits, method)

    def _shown(self, index: Int[Tensor, " m"], bits: Int[Tensor, "m points"], method: str) -> Trial:
        """What a search found, run once more, and again with nudged inputs."""
        again = [self.evaluator.repeat(index, bits, number) for number in range(_REPEATS)]
        repeats = [predictions_of(scores) for scores in again if scores is not None]
        scores = self.evaluator.scores(index, bits)
        return Trial(index, bits, scores, method, repeats=repeats or None)

    def _problem(
        self,
        condition: Condition,
        sign: int = 1,
        index: Int[Tensor, " m"] | None = None,
        groups: Int[Tensor, " m"] | None = None,
    ) -> Problem:
        index = self.prepared.everyone if index is None else index
        groups = torch.arange(len(index)) if groups is None else groups
        options = torch.tensor(self.settings.bits)
        return Problem(
            self.evaluator, index, groups, options, condition.total, sign, self.prepared.floors
        )

    def _bits(
        self, policy: Policy, index: Int[Tensor, " m"] | None = None
    ) -> Int[Tensor, "m points"]:
        index = self.prepared.everyone if index is None else index
        return policy(Batch(part_of(self.evaluator.inputs, index), index))

    def _halves(self) -> tuple[Int[Tensor, " chosen"], Int[Tensor, " reported"]]:
        n = self.n
        order = torch.from_numpy(self._seed("halves").permutation(n).copy())
        return order[: n // 2].sort().values, order[n // 2 :].sort().values

    def _search_seed(self, condition: Condition) -> np.random.Generator:
        kind = _FIRST_CALLED.get(condition.kind, condition.kind)
        return self._seed(f"{kind}-{condition.mean_bits:g}")

    def _seed(self, name: str) -> np.random.Generator:
        return generator(self.settings.seed, *name.encode())

    def _gradient_words(self, problem: Problem) -> str:
        each = "in all" if problem.shared else "an example"
        return (
            f"gradient, exact knapsack, {self.settings.rounds} rounds; "
            f"then up to {self._exchanges(problem)} exchange moves {each}"
        )


def _co_trained(policy: Policy) -> Condition:
    return Condition(
        kind="co-trained",
        description="what the policy that was trained together with the network allocates",
        mean_bits=round(policy.total / policy.points, 6),
        total_bits=policy.total,
        widths=list(policy.options),
        policy_freedom_log2=freedom_log2(policy.points, list(policy.options), policy.total),
    )
