"""From a remedy's worst case to its figures: what it gives back, what it costs, which to take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitcliff.assess.audit import Audit
from bitcliff.assess.explain.remedy_search import Searched
from bitcliff.assess.measured import Predictions
from bitcliff.points import Plan
from bitcliff.records import PolicyResult
from bitcliff.records.explanation_remedies import (
    Change,
    Cost,
    RandomAllocation,
    Remedied,
    Standing,
)
from bitcliff.stats import paired_difference, rate
from bitcliff.types.rate import Rate

_FLOAT_BITS = 32


@dataclass(frozen=True)
class Before:
    """What the run found, by the examples' places: the right answers, float, its worst case.

    `audit` is the run's; `passes` what its worst case cost.
    """

    audit: Audit
    policy: PolicyResult
    wanted: Predictions
    in_float: Predictions
    worst: Predictions
    max_drop: float


def remedied(before: Before, found: Searched, places: Sequence[int]) -> Remedied:
    """The figures of one remedy on the examples at `places`, all of which were searched."""
    remedy, worst = found.remedy, found.worst
    settings = found.audit.settings
    return Remedied(
        family=remedy.family,
        words=remedy.words,
        float_points=list(settings.in_float),
        floors=dict(settings.floors),
        scheme=settings.scheme,
        cost=cost_of(
            before.audit.plan, found.audit.plan, worst.total_bits or 0, worst.policy_freedom_log2
        ),
        failures=sum(found.predictions[place] is None for place in places),
        passes=worst.effort.forward_passes,
        **_shares(before, found.predictions, places),
    )


def unremedied(before: Before, places: Sequence[int]) -> Remedied:
    """The run's own worst case in the same terms."""
    policy, settings = before.policy, before.audit.settings
    return Remedied(
        family="none",
        words="nothing changed",
        float_points=list(settings.in_float),
        floors=dict(settings.floors),
        scheme=settings.scheme,
        cost=cost_of(
            before.audit.plan,
            before.audit.plan,
            policy.total_bits or 0,
            policy.policy_freedom_log2,
        ),
        failures=sum(before.worst[place] is None for place in places),
        passes=policy.effort.forward_passes,
        **_shares(before, dict(enumerate(before.worst)), places),
    )


def float_right(before: Before) -> Rate:
    """Right answers in float, of the examples that have one there and in the run's worst case."""
    pairs = [
        answer == right
        for right, answer, worst in zip(before.wanted, before.in_float, before.worst, strict=True)
        if answer is not None and worst is not None
    ]
    return rate(sum(pairs), len(pairs))


def cost_of(plan: Plan, remedied_plan: Plan, total: int, freedom: float | None) -> Cost:
    """What a remedy spends, next to the run's plan."""
    kept = {point.name for point in remedied_plan.points}
    back = [point for point in plan.points if point.name not in kept]
    work = {point.site: point.macs for point in plan.points}
    sites = {point.site for point in back}
    whole = sum(work.values())
    return Cost(
        in_float=len(back),
        float_macs=sum(work[site] for site in sites) / whole if whole else len(back) / len(plan),
        total_bits=total,
        mean_bits=total / len(kept),
        mean_with_float=(total + _FLOAT_BITS * len(back)) / len(plan),
        freedom_log2=freedom or 0.0,
    )


def random_allocation(wanted: Predictions, draws: Sequence[Predictions]) -> RandomAllocation:
    """From the predictions of every draw; a numeric failure is not right."""
    n = len(wanted)
    right = [
        [p is not None and p == w for p, w in zip(draw, wanted, strict=True)] for draw in draws
    ]
    mean = sum(map(sum, right)) / len(right)
    return RandomAllocation(
        draws=len(draws),
        mean=rate(round(mean), n),
        worst=rate(min(map(sum, right)), n),
        all_right=rate(sum(all(each) for each in zip(*right, strict=True)), n),
    )


def with_front(rows: Sequence[Remedied]) -> list[Remedied]:
    """The same, those marked that no other one outdoes."""
    return [
        row.model_copy(update={"on_front": not any(_outdoes(other, row) for other in rows)})
        for row in rows
    ]


def recommend(rows: Sequence[Remedied], limit: float) -> int | None:
    """The place of the cheapest that surely keeps to the limit; else of the cheapest that does so
    as measured; else of the one that gives most back, if any surely gives something.

    Cheap means few multiply-adds in float, then few bits, then few points with a floor; equals are
    told apart by right answers.
    `limit`: percentage points that may be lost.
    """
    helping = [place for place, row in enumerate(rows) if row.regained.value > 0]
    surely = [place for place in helping if rows[place].standing == "pass"]
    measured = [place for place in helping if -rows[place].loss.value <= limit]
    if fitting := surely or measured:
        return min(fitting, key=lambda place: _how_dear(rows[place]))
    most = [place for place in helping if rows[place].regained.low > 0]
    return max(most, key=lambda place: (_right(rows[place]), rows[place].on_front), default=None)


def _shares(before: Before, now: Mapping[int, int | None], places: Sequence[int]) -> dict[str, Any]:
    """Right answers now and before, and the changes, over the examples that have all answers."""
    told = [
        (before.wanted[place], before.in_float[place], before.worst[place], now[place])
        for place in places
    ]
    whole = [
        (in_float == right, worst == right, new == right)
        for right, in_float, worst, new in told
        if None not in (in_float, worst, new)
    ]
    loss = _change([(in_float, new) for in_float, _, new in whole])
    return {
        "right": rate(sum(new for *_, new in whole), len(whole)),
        "before": rate(sum(worst for _, worst, _ in whole), len(whole)),
        "regained": _change([(worst, new) for _, worst, new in whole]),
        "loss": loss,
        "standing": _standing(loss, before.max_drop),
    }


def _change(pairs: Sequence[tuple[bool, bool]]) -> Change:
    """Of the share of right answers, from the first to the second of each pair."""
    if not pairs:
        return Change(value=0.0, low=-100.0, high=100.0)
    lost = sum(first and not second for first, second in pairs)
    gained = sum(second and not first for first, second in pairs)
    value, low, high = paired_difference(len(pairs), lost, gained)
    return Change(value=100 * value, low=100 * low, high=100 * high)


def _right(row: Remedied) -> float:
    return row.right.value or 0.0


def _costs(row: Remedied) -> tuple[float, float]:
    return row.cost.float_macs, row.cost.mean_with_float


def _how_dear(row: Remedied) -> tuple[float | int, ...]:
    return (*_costs(row), len(row.floors), -_right(row))


def _outdoes(other: Remedied, row: Remedied) -> bool:
    mine = (_right(row), *(-cost for cost in _costs(row)))
    theirs = (_right(other), *(-cost for cost in _costs(other)))
    return theirs != mine and all(a >= b for a, b in zip(theirs, mine, strict=True))


def _standing(loss: Change, limit: float) -> Standing:
    if -loss.low <= limit:
        return "pass"
    return "fail" if -loss.high > limit else "inconclusive"
