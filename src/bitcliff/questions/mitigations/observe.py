"""What helps: remedies, each judged by a worst case that is looked for anew.

A remedy that is only held against the old worst case looks better than it is: the adversary would
spend the bits elsewhere. Mean bits are those of the run over the points that stay quantized.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.assess.figures import right_answers
from bitcliff.assess.search import generator
from bitcliff.errors import InfeasibleBudget
from bitcliff.questions.context import Context
from bitcliff.questions.mitigations.record import RandomAllocation, Remedied, Remedies
from bitcliff.questions.mitigations.search import Remedy, Searched, most_to_blame, search_again
from bitcliff.questions.mitigations.statistics import (
    Before,
    float_right,
    random_allocation,
    recommend,
    remedied,
    unremedied,
    with_front,
)
from bitcliff.records import PolicyResult, Record
from bitcliff.records.plan import QuantizationPlan

# Points kept in float, or given a floor, one after the other; never more than half of all.
_SIZES = (1, 2, 4, 8)
_PERCENTILES = (99.99, 99.9, 99.0)
# The floor of a point to blame lies this much above the mean, rounded up.
_ABOVE_MEAN = 2
# A half must hold two examples or more.
_FEWEST_FOR_HALVES = 4
# To choose among all remedies, and to show the one chosen: with fewer in a half, an interval says
# next to nothing.
_FEWEST_TO_HOLD_OUT = 20

Make = Callable[[tuple[str, ...]], Remedy]


def explain_remedies(context: Context) -> Remedies:
    """Try remedies on the deepest worst case of the run; recommend the cheapest that helps enough.

    What to try and what to recommend is decided on one half of the examples, and confirmed on the
    other, where there are enough of them.
    """
    record = context.record
    limit = record.settings.max_drop
    policy = _deepest(record)
    if policy is None:
        return Remedies(max_drop=limit, not_measured="the run looked for no worst case")
    before = _before(context, policy)
    base = unremedied(before, range(len(before.worst)))
    told = Remedies(
        max_drop=limit, worst=policy.name, float_right=float_right(before), unremedied=base
    )
    if base.loss.value >= 0:
        return told.model_copy(update={"not_measured": "the worst case found loses nothing"})
    trials = _Trials(context, before, policy.mean_bits or 0.0)
    trials.run(_inflection(context, policy))
    first, *rows = with_front([base, *trials.rows])
    place = recommend(trials.judged_with_front(), limit)
    checked = {} if place is None else trials.check(place)
    return told.model_copy(
        update={
            "unremedied": first,
            "remedies": rows,
            "random": _random(record, policy),
            "chosen_on": trials.chosen_on,
            "tuned": context.tune is not None,
            "recommended_on": len(trials.judging) if trials.held_out and checked else 0,
            "recommended": [row for row, _ in checked.values()],
            "confirmed": [row for _, row in checked.values() if row is not None],
            "plan": None if place is None else trials.plan(place, list(checked)),
        }
    )


def candidates(context: Context, places: Int[Tensor, " m"]) -> list[str]:
    """The points of the run's deepest worst case, those first that it seems best to protect.

    Only the examples at `places` are asked.
    """
    policy = _deepest(context.record)
    if policy is None:
        return []
    bits = torch.tensor([row.outcomes[policy.name].bits for row in context.record.examples])
    return most_to_blame(context.test.suite, bits, places)


class _Trials:
    """The remedies tried so far, at one mean of bits.

    Attributes:
        tried: what they are. found: their worst cases. rows: their figures, to be shown.
        half, rest: places of the examples, drawn by the run's seed; half is empty with too few.
        held_out: whether there are enough to choose on `half` and to confirm on `rest`.
        judging: places on which it is decided what to try and what to recommend. judged: the
            figures on these.
        chosen_on: examples on which the percentile was chosen.
    """

    def __init__(self, context: Context, before: Before, mean: float) -> None:
        self.context, self.before, self.mean = context, before, mean
        self.tried: list[Remedy] = []
        self.found: list[Searched] = []
        self.rows: list[Remedied] = []
        self.judged: list[Remedied] = []
        self.chosen_on = 0
        self.half, self.rest = _halves(len(before.worst), before.audit.settings.seed)
        self.held_out = len(before.worst) >= _FEWEST_TO_HOLD_OUT
        self.judging = self.half if self.held_out else torch.arange(len(before.worst))

    def run(self, inflection: tuple[str, ...] = ()) -> None:
        """Everything there is to try.

        `inflection`: points that the layer analysis has named, tried all at once.
        """
        if 0 < len(inflection) < len(self._names):
            self._try(self._floored(inflection))
            self._try(_in_float(inflection))
        everywhere = self._floor_everywhere()
        self._one_after_the_other(self._floored)
        self._clip()
        self._one_after_the_other(_in_float)
        if everywhere is not None:
            self._one_after_the_other(lambda names: _combined(everywhere.remedy, names), everywhere)
        if self.context.tune is not None:
            tuned = self.context.tune(self.mean)
            self._try(Remedy("fine-tuned", "weights fine-tuned to bear rounding", tuned=tuned))

    def judged_with_front(self) -> list[Remedied]:
        """What the recommendation goes by."""
        base = unremedied(self.before, self.judging.tolist())
        return with_front([base, *self.judged])[1:]

    def check(self, place: int) -> dict[float, tuple[Remedied, Remedied | None]]:
        """One of those tried, at every budget of the run that it allows.

        On all examples, but for a percentile: not on those that it was chosen on. Then on those
        that had no part in the choice, where some were held out.
        """
        checked = {}
        for mean in self.before.audit.settings.budgets:
            known, rest = self.found[place], None
            if self.rows[place].family == "percentile":
                rest = self.rest
            found = known if mean == self.mean else self._search(self.tried[place], mean, rest)
            if found is not None:
                before = _before(self.context, _worst_at(self.context.record, mean))
                confirmed = None
                if self.held_out:
                    confirmed = remedied(before, found, self.rest.tolist())
                checked[float(mean)] = (remedied(before, found, found.places), confirmed)
        return checked

    def plan(self, place: int, budgets: list[float]) -> QuantizationPlan:
        """One of those tried as a file."""
        row = self.rows[place]
        subject = self.tried[place].tuned or self.before.audit.subject
        return QuantizationPlan(
            model=subject.name,
            weights_sha256=subject.weights_sha256,
            float_points=row.float_points,
            floors=row.floors,
            scheme=row.scheme,
            budget=budgets,
        )

    @property
    def _names(self) -> list[str]:
        return [point.name for point in self.before.audit.plan.points]

    def _one_after_the_other(self, make: Make, begin: Searched | None = None) -> None:
        """More and more points, those to blame first, until the loss is surely within the limit."""
        ranked = self._ranked(begin)
        taken: tuple[str, ...] = ()
        for size in _SIZES:
            if size > max(1, len(ranked) // 2) or size == len(ranked):
                return
            fresh = [name for name in ranked if name not in taken]
            taken = (*taken, *fresh[: size - len(taken)])
            place = self._try(make(taken))
            if place is None or self.judged[place].standing == "pass":
                return
            ranked = self._ranked(self.found[place])

    def _ranked(self, found: Searched | None) -> list[str]:
        """Points by how much they are to blame for a worst case, the run's own by default."""
        if found is None:
            return candidates(self.context, self.judging)
        ranked = most_to_blame(found.suite, found.bits, self.judging)
        # Those kept in float are not in the list; they were taken, and count in its length.
        return [*ranked, *(name for name in self._names if name not in ranked)]

    def _floor_everywhere(self) -> Searched | None:
        # Below the mean: at the mean itself nothing would be left to choose, nor to look for.
        floor = math.ceil(self.mean) - 1
        if floor <= self.before.audit.settings.bits[0]:
            return None
        floors = dict.fromkeys(self._names, floor)
        place = self._try(Remedy("floors", f"at least {floor} bits at every place", floors=floors))
        return None if place is None else self.found[place]

    def _floored(self, names: tuple[str, ...]) -> Remedy:
        widest = self.before.audit.settings.bits[-1]
        floor = min(widest, math.ceil(self.mean) + _ABOVE_MEAN)
        words = f"at least {floor} bits at {_places(names)}"
        return Remedy("floors", words, floors=dict.fromkeys(names, floor))

    def _clip(self) -> None:
        """The percentile that is best on one half, shown on the other."""
        if not len(self.half):
            return
        words = "ranges clipped to {:g} % of the values"
        remedies = [
            Remedy("percentile", words.format(p), scheme=f"percentile({p:g})") for p in _PERCENTILES
        ]
        tried = [self._search(remedy, self.mean, self.half) for remedy in remedies]
        judged = [
            (remedy, remedied(self.before, found, found.places))
            for remedy, found in zip(remedies, tried, strict=True)
            if found is not None
        ]
        if judged:
            self.chosen_on = len(self.half)
            best, row = max(judged, key=lambda one: one[1].right.k)
            self._try(best, self.rest, row if self.held_out else None)

    def _try(
        self,
        remedy: Remedy,
        places: Int[Tensor, " m"] | None = None,
        judged: Remedied | None = None,
    ) -> int | None:
        """Look for its worst case and keep the figures, once; its place among those tried.

        None where it leaves no allocation. `places`: of the examples to search, by default all;
        `judged`: figures on other ones, to judge it by.
        """
        if remedy in self.tried:
            return self.tried.index(remedy)
        found = self._search(remedy, self.mean, places)
        if found is None:
            return None
        self.tried.append(remedy)
        self.found.append(found)
        self.rows.append(remedied(self.before, found, found.places))
        judging = self.judging.tolist() if places is None else found.places
        self.judged.append(judged or remedied(self.before, found, judging))
        return len(self.rows) - 1

    def _search(
        self, remedy: Remedy, mean: float, places: Int[Tensor, " m"] | None = None
    ) -> Searched | None:
        try:
            return search_again(remedy, self.before.audit, mean, self.context.tell, places)
        except InfeasibleBudget:
            return None


def _halves(n: int, seed: int) -> tuple[Int[Tensor, " half"], Int[Tensor, " rest"]]:
    """Places of one half of the examples and of the other; the first is empty with too few."""
    order = torch.from_numpy(generator(seed, *b"percentile").permutation(n).copy())
    middle = n // 2 if n >= _FEWEST_FOR_HALVES else 0
    return order[:middle].sort().values, order[middle:].sort().values


def _in_float(names: tuple[str, ...]) -> Remedy:
    return Remedy("float", f"{_places(names)} kept in float", in_float=names)


def _combined(floors: Remedy, names: tuple[str, ...]) -> Remedy:
    words = f"{_places(names)} kept in float, {floors.words.replace('every', 'every other')}"
    return replace(floors, family="combined", words=words, in_float=names)


def _places(names: tuple[str, ...]) -> str:
    return f"{len(names)} place{'s' if len(names) > 1 else ''}"


def _deepest(record: Record) -> PolicyResult | None:
    """The run's worst case per example that loses most; of equal ones that with most bits."""
    worst = [
        policy
        for policy in record.policies
        if policy.mean_bits is not None and policy.name == f"worst-{policy.mean_bits:g}"
    ]
    return max(worst, key=lambda p: ((p.flips.lost or p.flips.all).k, p.mean_bits), default=None)


def _inflection(context: Context, policy: PolicyResult) -> tuple[str, ...]:
    """The points at which the layer analysis, where there is one, sees the policy break it."""
    explanation = context.record.explanation
    layers = explanation.layers if explanation else None
    names = [point.name for point in context.test.audit.plan.points]
    for sweep in layers.sweeps if layers else []:
        if (sweep.policy, sweep.split) == (policy.name, "test"):
            return tuple(names[place] for place in sweep.inflection)
    return ()


def _worst_at(record: Record, mean: float) -> PolicyResult:
    return next(policy for policy in record.policies if policy.name == f"worst-{mean:g}")


def _before(context: Context, policy: PolicyResult) -> Before:
    rows = context.record.examples
    return Before(
        audit=context.test.audit,
        policy=policy,
        wanted=right_answers(rows),
        in_float=[row.float_prediction for row in rows],
        worst=[row.outcomes[policy.name].prediction for row in rows],
        max_drop=context.record.settings.max_drop,
    )


def _random(record: Record, policy: PolicyResult) -> RandomAllocation | None:
    """From the draws of the run itself: nobody looked for anything, so there is none to repeat."""
    name = f"random-{policy.mean_bits:g}"
    draws = [row.outcomes[name].draws or [] for row in record.examples if name in row.outcomes]
    if len(draws) < len(record.examples) or not draws[0]:
        return None
    return random_allocation(right_answers(record.examples), list(zip(*draws, strict=True)))
