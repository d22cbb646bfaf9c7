"""The policies of a run: each one measured, in order, on frozen weights.

`Suite.steps` lists them with their cost, so that a caller can show progress, skip what it has, and
store what it gets.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.assess.evaluate import Evaluator
from bitcliff.assess.figures import median_draw
from bitcliff.assess.measured import (
    About,
    Measured,
    Predictions,
    Trial,
    outcomes_of,
    predictions_of,
)
from bitcliff.assess.search import (
    Best,
    Problem,
    even_allocation,
    evolve,
    exchange,
    generator,
    relinearise,
)
from bitcliff.budget import freedom_log2, total_from_mean
from bitcliff.points import floors_at, take
from bitcliff.policy import Batch, Policy, RandomPerExample, RandomStatic, Static, Uniform
from bitcliff.records import Effort
from bitcliff.records.schema import Threat
from bitcliff.types.runtime import Run, Runtime
from bitcliff.types.settings import AssessSettings

# A linearisation: a forward pass, and a backward pass that costs three, as `Spent.cost` has it.
_SLOPES_COST = 4
# How often what a search found is run again with a nudged input.
_REPEATS = 3
# A half must hold two examples or more.
_FEWEST_FOR_HALVES = 4

_DRAWS: Mapping[str, type[RandomPerExample | RandomStatic]] = {
    "random": RandomPerExample,
    "random-static": RandomStatic,
}
"""Random policies whose draws a worst case at the same mean takes up."""


@dataclass(frozen=True)
class Step:
    """One policy to measure. `cost`: about how many examples to pass forward, for progress."""

    about: About
    cost: int
    try_out: Callable[[About], Trial]


@dataclass
class Suite:
    """Everything the steps share.

    Attributes:
        evaluator: the attached network and its data; its reference already set.
        wanted: (n,) the right answers: labels, or without them what float says, None if it fails.
        done: what was measured so far, by name; searches take up what random draws found.
        own: a policy trained together with the network, or None.
        runtimes: what else the network is run by.
    """

    evaluator: Evaluator
    wanted: Predictions
    settings: AssessSettings
    done: dict[str, Measured]
    own: Policy | None = None
    runtimes: Sequence[Runtime] = ()

    @property
    def points(self) -> int:
        """L."""
        return len(self.evaluator.attachment.plan)

    @property
    def floors(self) -> list[int] | None:
        """The least width at each point; None: every width everywhere."""
        return floors_at(self.settings, self.evaluator.attachment.plan)

    @property
    def everyone(self) -> Int[Tensor, " n"]:
        """The places of all examples."""
        return torch.arange(len(self.wanted))

    def steps(self) -> Iterator[Step]:
        """All policies in order; of a network that is not looked into, the runtimes alone."""
        if self.points:
            yield from self._simulated_steps()
        for runtime in self.runtimes:
            yield from self._runtime_steps(runtime)

    def _runtime_steps(self, runtime: Runtime) -> Iterator[Step]:
        what = f"{runtime.version}: {runtime.description}"
        for name, size in _batch_sizes(self, runtime).items():
            alone = f"batches of {size} as they come" if size > 1 else "each example by itself"
            about = About(name, f"{what}; {alone}", runtime=runtime.name)
            yield Step(about, len(self.wanted), partial(self._by_runtime, runtime, size))

    def _simulated_steps(self) -> Iterator[Step]:
        n, width = len(self.wanted), self.settings.weight_bits
        words = f"weights rounded to {width} bits, activations in float" if width else "float"
        yield Step(About("weights-only", words), n, self._weights_only)
        for width in () if self.settings.randomised else self.settings.uniform:
            policy, words = self._even(width), f"{width} bits at every point"
            words += ", or its floor where that is more" if self.floors else ""
            mean = policy.total / self.points
            yield Step(
                About(f"uniform-{width}", words, "none", mean, policy.total, 0.0),
                n,
                partial(self._fixed, policy),
            )
        if self.own is not None:
            yield Step(_about_own(self.own), n, self._own)
        for mean in self.settings.budgets:
            yield from self._steps_at(mean)

    def _steps_at(self, mean: float) -> Iterator[Step]:
        asked, n = self.settings, len(self.wanted)
        bits = list(asked.bits)
        total = total_from_mean(mean, self.points, bits, self.floors)
        spending = (float(mean), total, freedom_log2(self.points, bits, total, self.floors))
        draws = asked.draws * n
        rounds = asked.rounds * (_SLOPES_COST + 1) + 2
        search, shared = (rounds + moves for moves in (asked.exchanges, asked.exchanges // 2))

        def about(kind: str, words: str, threat: Threat = "none") -> About:
            return About(f"{kind}-{mean:g}", words, threat, *spending)

        yield Step(about("random", "bits drawn at random for each example"), draws, self._random)
        if self.settings.randomised:
            return
        yield Step(
            about("random-static", "one random draw of bits for all"), draws, self._random_static
        )
        words = "the worst bits found for each example by an adversary who sees it"
        yield Step(about("worst", words, "policy-only"), search * n, self._worst)
        if n >= _FEWEST_FOR_HALVES:
            words = (
                "one bad allocation for all, chosen on one half of the examples, shown on the other"
            )
            yield Step(
                about("worst-static", words, "policy-only"), shared * n // 2, self._worst_static
            )
        if asked.evaluations:
            words = (
                "the worst bits found for each example without gradients, as a check on the search"
            )
            cost = asked.evaluations * n
            yield Step(about("worst-evolutionary", words, "policy-only"), cost, self._evolutionary)
        words = "the kindest bits found for each example: what a good policy could reach"
        yield Step(about("friendliest", words), search * n, self._friendliest)

    def measure_only(self, names: Collection[str], tell: Callable[[str, int, int], None]) -> None:
        """Measure some policies into `done`, and the random draws that worst cases take up.

        Without those draws a worst case would be less hard looked for than in a whole run.
        """
        draws = {name.replace("worst", kind, 1) for name in names for kind in _DRAWS}
        steps = [step for step in self.steps() if step.about.name in {*names, *draws}]
        for number, step in enumerate(steps):
            tell(step.about.name, number, len(steps))
            self.done[step.about.name] = self.measure(step)

    def measure(self, step: Step) -> Measured:
        """Measure one policy, and what that took."""
        spent = self.evaluator.spent
        forward, backward = spent.forward, spent.backward
        self.evaluator.broken.clear()
        trial = step.try_out(step.about)
        return Measured(
            **asdict(step.about),
            allocation=trial.shared_bits,
            effort=Effort(
                forward_passes=spent.forward - forward,
                backward_passes=spent.backward - backward,
                method=trial.method,
            ),
            outcomes=outcomes_of(trial, self.evaluator.reference),
            broken=sorted(self.evaluator.broken),
            strays=sorted(self.evaluator.attachment.incidents.strays),
        )

    def _weights_only(self, _about: About) -> Trial:
        scores = self.evaluator.weights_only_scores(self.everyone)
        return Trial(self.everyone, None, scores)

    def _by_runtime(self, runtime: Runtime, size: int, _about: About) -> Trial:
        scores = self.evaluator.runtime_scores(self.everyone, runtime.run, size)
        words = f"measured once, in batches of {size}, the last one not filled up"
        return Trial(self.everyone, None, scores, "measured once" if size == 1 else words)

    def _even(self, width: int) -> Policy:
        if self.floors is None:
            return Uniform(self.points, width)
        return Static(torch.tensor(self.floors).clamp(min=width))

    def _fixed(self, policy: Policy, _about: About) -> Trial:
        bits = self._bits(policy)
        return Trial(self.everyone, bits, self.evaluator.scores(self.everyone, bits))

    def _own(self, _about: About) -> Trial:
        assert self.own is not None  # noqa: S101  (`steps` has seen to it)
        bits = self._bits(self.own)
        words = f"measured once; {self.own.origin}" if self.own.origin else "measured once"
        return Trial(self.everyone, bits, self.evaluator.scores(self.everyone, bits), words)

    def _random(self, about: About) -> Trial:
        return self._draws(about, RandomPerExample)

    def _random_static(self, about: About) -> Trial:
        return self._draws(about, RandomStatic)

    def _draws(self, about: About, kind: type[RandomPerExample | RandomStatic]) -> Trial:
        """The distribution over draws; the outcomes are those of the draw of median accuracy."""
        tables = [self._bits(policy) for policy in self._random_policies(about, kind)]
        scores = [self.evaluator.scores(self.everyone, bits) for bits in tables]
        predictions = [predictions_of(each) for each in scores]
        middle = median_draw(predictions, self.wanted)
        words = f"{len(tables)} draws, uniform over all feasible allocations; median draw shown"
        return Trial(self.everyone, tables[middle], scores[middle], words, predictions)

    def _random_policies(
        self, about: About, kind: type[RandomPerExample | RandomStatic]
    ) -> Iterator[Policy]:
        seeds = self._seed(about.name).integers(0, 2**31, self.settings.draws)
        for seed in seeds.tolist():
            yield kind(self.points, self.settings.bits, about.total, seed, self.floors)

    def _worst(self, about: About) -> Trial:
        best = self._gradient_search(about, self._problem(about))
        self._flip_by_chance(about, best)
        return self._found(best, self._gradient_words(best.problem))

    def _friendliest(self, about: About) -> Trial:
        best = self._gradient_search(about, self._problem(about, sign=-1))
        return self._found(best, self._gradient_words(best.problem))

    def _evolutionary(self, about: About) -> Trial:
        problem = self._problem(about)
        best = Best(problem, even_allocation(problem, self.points))
        evaluations = self.settings.evaluations
        evolve(problem, best, evaluations, self._seed(about.name))
        words = f"evolution, {evaluations} evaluations an example at most, until it clearly flips"
        return self._found(best, words)

    def _worst_static(self, about: About) -> Trial:
        """Chosen on one half, reported on the other."""
        chosen, reported = self._halves()
        groups = torch.zeros(len(chosen), dtype=torch.int64)
        problem = self._problem(about, index=chosen, groups=groups)
        best = self._gradient_search(about, problem)
        words = f"{self._gradient_words(problem)}; chosen on {len(chosen)} examples"
        return self._shown(reported, best.bits.expand(len(reported), -1), words)

    def _gradient_search(self, about: About, problem: Problem) -> Best:
        best = Best(problem, even_allocation(problem, self.points))
        best.offer(best.bits.clone())
        slopes = relinearise(problem, best, self.settings.rounds)
        exchange(problem, best, slopes, self._exchanges(problem), self._seed(about.name))
        return best

    def _exchanges(self, problem: Problem) -> int:
        """Half as many where all examples share an allocation: each move runs all of them."""
        exchanges = self.settings.exchanges
        return exchanges // 2 if problem.shared else exchanges

    def _flip_by_chance(self, about: About, best: Best) -> None:
        """Offer the random allocations that flip an example which the search has not flipped."""
        reference = self.evaluator.reference.tolist()
        for random, kind in _DRAWS.items():
            name = about.name.replace("worst", random, 1)
            if (known := self.done.get(name)) is None:
                continue
            policies = self._random_policies(replace(about, name=name), kind)
            for number, policy in enumerate(policies):
                flipped = [
                    place
                    for place, outcome in known.outcomes.items()
                    if (draw := (outcome.draws or [])[number]) is not None
                    and draw != reference[place]
                    and float(best.cost[place]) >= 0
                ]
                if flipped:
                    only = torch.tensor(flipped)
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
        about: About,
        sign: int = 1,
        index: Int[Tensor, " m"] | None = None,
        groups: Int[Tensor, " m"] | None = None,
    ) -> Problem:
        index = self.everyone if index is None else index
        groups = torch.arange(len(index)) if groups is None else groups
        options = torch.tensor(self.settings.bits)
        return Problem(self.evaluator, index, groups, options, about.total, sign, self.floors)

    def _bits(
        self, policy: Policy, index: Int[Tensor, " m"] | None = None
    ) -> Int[Tensor, "m points"]:
        index = self.everyone if index is None else index
        return policy(Batch(take(self.evaluator.inputs, index), index))

    def _halves(self) -> tuple[Int[Tensor, " chosen"], Int[Tensor, " reported"]]:
        n = len(self.wanted)
        order = torch.from_numpy(self._seed("halves").permutation(n).copy())
        return order[: n // 2].sort().values, order[n // 2 :].sort().values

    def _seed(self, name: str) -> np.random.Generator:
        return generator(self.settings.seed, *name.encode())

    def _gradient_words(self, problem: Problem) -> str:
        each = "in all" if problem.shared else "an example"
        return (
            f"gradient, exact knapsack, {self.settings.rounds} rounds; "
            f"then up to {self._exchanges(problem)} exchange moves {each}"
        )


def runtime_run(suite: Suite, name: str) -> tuple[Run, int] | None:
    """The runtime behind a policy of this name, and its batch size; None: it is no runtime's."""
    for runtime in suite.runtimes:
        size = _batch_sizes(suite, runtime).get(name)
        if size is not None:
            return runtime.run, size
    return None


def _batch_sizes(suite: Suite, runtime: Runtime) -> dict[str, int]:
    """By the names under which a runtime is measured."""
    sizes = {runtime.name: 1}
    if runtime.batches:
        sizes[f"{runtime.name}-batch"] = suite.evaluator.batch_size
    return sizes


def _about_own(policy: Policy) -> About:
    mean = round(policy.total / policy.points, 6)
    freedom = freedom_log2(policy.points, list(policy.options), policy.total)
    words = "what the policy that was trained together with the network spends"
    return About(f"co-trained-{mean:g}", words, "co-trained", mean, policy.total, freedom)
