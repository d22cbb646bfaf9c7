"""What helps: mitigations, each judged by a worst case that is looked for anew.

A mitigation that is only held against the old worst case looks better than it is: the adversary
would allocate the bits differently. Mean bits are those of the run over the points that stay
quantized.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.errors import InfeasibleBudget
from bitcliff.questions.context import Context, allocation_of
from bitcliff.questions.deployed import run_plan
from bitcliff.questions.halves import Halves
from bitcliff.questions.layers.statistics import inflection
from bitcliff.questions.mitigations.judging import (
    Before,
    Ints,
    deepest,
    judged,
    known,
    mitigated,
    recommended,
    unmitigated,
)
from bitcliff.questions.mitigations.record import MitigationsObserved, Trial, Tuned, WorstCase
from bitcliff.questions.mitigations.search import (
    Mitigation,
    Searched,
    most_to_blame,
    search_again,
)

# Points kept in float, or given a floor, one after the other; never more than half of all.
_SIZES = (1, 2, 4, 8)
_PERCENTILES = (99.99, 99.9, 99.0)
# The floor of a point to blame lies this much above the mean, rounded up.
_ABOVE_MEAN = 2

Make = Callable[[tuple[str, ...]], Mitigation]


def observe_mitigations(context: Context) -> MitigationsObserved:
    """Try mitigations on the deepest worst case of the run, and the one to recommend at every
    budget.

    What to try and what to recommend is decided on one half of the examples, and confirmed on the
    other, where there are enough of them.
    """
    halves = context.halves
    before = deepest(context.record)
    if before is None or known(unmitigated(before, halves.everyone).loss)[0] >= 0:
        return MitigationsObserved(half=halves.half, trials=[])
    trials = _Trials(context, before, halves)
    trials.run()
    trials.check()
    index = recommended(before, trials.observed, halves)
    points = [] if index is None else trials.observed[index].float_points
    return MitigationsObserved(
        half=halves.half,
        trials=trials.observed,
        tuned=trials.tuned,
        in_runtimes=run_plan(context, points),
    )


def candidates(context: Context, places: Int[Tensor, " m"]) -> list[str]:
    """The points of the run's deepest worst case, those first that it seems best to protect.

    Only the examples at `places` are asked.
    """
    before = deepest(context.record)
    if before is None:
        return []
    bits = allocation_of(context.record.outcomes[before.policy.name])
    return most_to_blame(context.test.prepared, bits, places)


class _Trials:
    """The mitigations tried so far, at the mean of bits of the run's worst case.

    Attributes:
        tried: what they are. found: their worst cases. observed: what is kept of these.
        tuned: the network that was fine-tuned, if one was.
    """

    def __init__(self, context: Context, before: Before, halves: Halves) -> None:
        self.context, self.before, self.halves = context, before, halves
        self.tried: list[Mitigation] = []
        self.found: list[Searched] = []
        self.observed: list[Trial] = []
        self.tuned: Tuned | None = None

    def run(self) -> None:
        """Everything there is to try; the points that the layer analysis names all at once."""
        named = inflection(self.context.record, self.before.policy.name)
        if 0 < len(named) < len(self._names):
            names = tuple(self._names[index] for index in named)
            self._try(self._floored(names))
            self._try(_in_float(names))
        everywhere = self._floor_everywhere()
        self._one_after_the_other(self._floored)
        self._clip()
        self._one_after_the_other(_in_float)
        if everywhere is not None:
            floors = everywhere.mitigation
            self._one_after_the_other(lambda names: _combined(floors, names), everywhere)
        if self.context.tune is not None:
            tuned = self.context.tune(self.before.mean)
            self.tuned = Tuned(model=tuned.name, weights_sha256=tuned.weights_sha256)
            words = "weights fine-tuned to bear rounding"
            self._try(Mitigation("fine-tuned", words, tuned=tuned))

    def check(self) -> None:
        """Look for the worst cases of the one to recommend at the run's further budgets."""
        index = recommended(self.before, self.observed, self.halves)
        if index is None:
            return
        trial, further = self.observed[index], []
        for mean in map(float, self.context.record.settings.budgets):
            if mean != self.before.mean:
                rest = None if trial.on_half is None else self.halves.rest
                found = self._search(self.tried[index], mean, rest)
                further += [] if found is None else [_worst_case(found, mean)]
        self.observed[index] = trial.model_copy(update={"further": further})

    @property
    def _names(self) -> list[str]:
        return [point.name for point in self.context.test.prepared.points.points]

    def _one_after_the_other(self, make: Make, begin: Searched | None = None) -> None:
        """More and more points, those to blame first, until the loss is surely within the limit."""
        ranked = self._ranked(begin)
        taken: tuple[str, ...] = ()
        for size in _SIZES:
            if size > max(1, len(ranked) // 2) or size == len(ranked):
                return
            fresh = [name for name in ranked if name not in taken]
            taken = (*taken, *fresh[: size - len(taken)])
            index = self._try(make(taken))
            if index is None:
                return
            if judged(self.before, self.observed[index], self.halves).standing == "pass":
                return
            ranked = self._ranked(self.found[index])

    def _ranked(self, found: Searched | None) -> list[str]:
        """Points by how much they are to blame for a worst case, the run's own by default."""
        judging = torch.from_numpy(self.halves.judging.astype("int64"))
        if found is None:
            return candidates(self.context, judging)
        ranked = most_to_blame(found.prepared, found.bits, judging)
        # Those kept in float are not in the list; they were taken, and count in its length.
        return [*ranked, *(name for name in self._names if name not in ranked)]

    def _floor_everywhere(self) -> Searched | None:
        # Below the mean: at the mean itself nothing would be left to choose, nor to look for.
        floor = math.ceil(self.before.mean) - 1
        if floor <= self.context.test.prepared.settings.bits[0]:
            return None
        floors = dict.fromkeys(self._names, floor)
        words = f"at least {floor} bits at every point"
        index = self._try(Mitigation("floors", words, floors=floors))
        return None if index is None else self.found[index]

    def _floored(self, names: tuple[str, ...]) -> Mitigation:
        widest = self.context.test.prepared.settings.bits[-1]
        floor = min(widest, math.ceil(self.before.mean) + _ABOVE_MEAN)
        words = f"at least {floor} bits at {_counted(names)}"
        return Mitigation("floors", words, floors=dict.fromkeys(names, floor))

    def _clip(self) -> None:
        """The percentile that is best on one half, shown on the other."""
        half = self.halves.half
        if not len(half):
            return
        tried = []
        for percentile in _PERCENTILES:
            words = f"ranges clipped to {percentile:g} % of the values"
            mitigation = Mitigation("percentile", words, scheme=f"percentile({percentile:g})")
            found = self._search(mitigation, self.before.mean, half)
            if found is not None:
                trial = _trial(found, self.before.mean)
                row = mitigated(self.before, trial, trial.worst, half, half)
                tried.append((row.right.k, mitigation, trial.worst.predictions))
        if tried:
            _, best, on_half = max(tried, key=lambda one: one[0])
            self._try(best, on_half)

    def _try(self, mitigation: Mitigation, on_half: Ints | None = None) -> int | None:
        """Look for its worst case and keep it, once; its index among those tried.

        None where it leaves no allocation. `on_half`: predictions on the half that it was chosen
        on; only the others are then searched.
        """
        if mitigation in self.tried:
            return self.tried.index(mitigation)
        places = None if on_half is None else self.halves.rest
        found = self._search(mitigation, self.before.mean, places)
        if found is None:
            return None
        self.tried.append(mitigation)
        self.found.append(found)
        self.observed.append(_trial(found, self.before.mean, on_half))
        return len(self.tried) - 1

    def _search(
        self, mitigation: Mitigation, mean: float, places: Ints | None = None
    ) -> Searched | None:
        only = None if places is None else torch.from_numpy(places.astype("int64"))
        prepared, tell = self.context.test.prepared, self.context.tell
        try:
            return search_again(mitigation, prepared, mean, tell, only)
        except InfeasibleBudget:
            return None


def _trial(found: Searched, mean: float, on_half: Ints | None = None) -> Trial:
    settings = found.prepared.settings
    return Trial(
        family=found.mitigation.family,
        words=found.mitigation.words,
        float_points=list(settings.in_float),
        floors=dict(settings.floors),
        scheme=settings.scheme,
        worst=_worst_case(found, mean),
        on_half=on_half,
    )


def _worst_case(found: Searched, mean: float) -> WorstCase:
    condition = found.worst.condition
    return WorstCase(
        mean_bits=mean,
        total_bits=condition.total,
        freedom_log2=condition.policy_freedom_log2 or 0.0,
        passes=found.worst.effort.forward_passes,
        predictions=found.worst.outcomes.prediction,
    )


def _in_float(names: tuple[str, ...]) -> Mitigation:
    return Mitigation("float", f"{_counted(names)} kept in float", in_float=names)


def _combined(floors: Mitigation, names: tuple[str, ...]) -> Mitigation:
    words = f"{_counted(names)} kept in float, {floors.words.replace('every', 'every other')}"
    return replace(floors, family="combined", words=words, in_float=names)


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} point{'s' if len(names) > 1 else ''}"
