"""What one mitigation gives back and costs, on some of the examples, and which to recommend."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.questions.halves import Halves
from bitcliff.questions.mitigations.record import (
    Cost,
    Mitigated,
    RandomAllocation,
    Trial,
    WorstCase,
)
from bitcliff.questions.standing import standing_of
from bitcliff.record import PolicyResult, Record
from bitcliff.record.arrays import NONE
from bitcliff.stats import change_between, rate
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Rate

_FLOAT_BITS = 32

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Before:
    """A run's own worst case, which mitigations are held against."""

    record: Record
    policy: PolicyResult

    @property
    def mean(self) -> float:
        """Of its bits."""
        return self.policy.mean_bits or 0.0

    @cached_property
    def worst(self) -> Ints:
        """(n,) the predictions."""
        return self.record.outcomes[self.policy.name].spread(len(self.record.table))


def searched(halves: Halves, trial: Trial) -> Ints:
    """The places on which a mitigation's worst case was looked for: of one that was chosen on a
    half, the others."""
    return halves.everyone if trial.on_half is None else halves.rest


def deepest(record: Record) -> Before | None:
    """The run's worst case per example that loses most; of equal ones that with most bits."""
    found = max(
        worst_cases(record),
        key=lambda p: ((p.flips.lost or p.flips.all).k, p.mean_bits or 0.0),
        default=None,
    )
    return None if found is None else Before(record, found)


def mitigated(before: Before, trial: Trial, found: WorstCase, of: Ints, places: Ints) -> Mitigated:
    """The figures of one mitigation on the examples at `places`.

    Args:
        of: places of those whose predictions `found` holds.
    """
    now = np.full(len(before.worst), NONE, dtype=np.int32)
    now[of] = found.predictions
    return Mitigated(
        family=trial.family,
        words=trial.words,
        float_points=trial.float_points,
        floors=trial.floors,
        scheme=trial.scheme,
        cost=cost_of(before.record, trial.float_points, found.total_bits, found.freedom_log2),
        passes=found.passes,
        **_shares(before, now, places),
    )


def unmitigated(before: Before, places: Ints) -> Mitigated:
    """The run's own worst case in the same terms."""
    policy, settings = before.policy, before.record.settings
    freedom = policy.condition.policy_freedom_log2 or 0.0
    return Mitigated(
        family="none",
        words="nothing changed",
        float_points=list(settings.in_float),
        floors=dict(settings.floors),
        scheme=settings.scheme,
        cost=cost_of(before.record, [], policy.total_bits or 0, freedom),
        passes=policy.effort.forward_passes,
        **_shares(before, before.worst, places),
    )


def judged(before: Before, trial: Trial, halves: Halves) -> Mitigated:
    """What a mitigation is judged by; of a percentile on the half that it was chosen on, where the
    others are held out."""
    places, found = searched(halves, trial), trial.worst
    if trial.on_half is None:
        return mitigated(before, trial, found, places, halves.judging)
    if not halves.held_out:
        return mitigated(before, trial, found, places, places)
    found = found.model_copy(update={"predictions": trial.on_half})
    return mitigated(before, trial, found, halves.half, halves.half)


def cost_of(record: Record, float_points: Sequence[str], total: int, freedom: float) -> Cost:
    """What is spent with some more of the run's points in float."""
    points = [point for point in record.subject.points if point.quantized]
    back = [point for point in points if point.name in float_points]
    work = {point.site: point.macs for point in points}
    in_float = sum(work[site] for site in {point.site for point in back})
    whole = sum(work.values())
    return Cost(
        in_float=len(back),
        float_macs=in_float / whole if whole else len(back) / len(points),
        total_bits=total,
        mean_bits=total / (len(points) - len(back)),
        mean_with_float=(total + _FLOAT_BITS * len(back)) / len(points),
        freedom_log2=freedom,
    )


def random_allocation(targets: Ints, draws: npt.NDArray[np.int32]) -> RandomAllocation:
    """From the (d, n) predictions of every draw; a numeric failure is not right."""
    n, right = len(targets), (draws == targets) & (draws != NONE)
    counts = right.sum(1).tolist()
    return RandomAllocation(
        draws=len(draws),
        mean=rate(round(sum(counts) / len(draws)), n),
        worst=rate(min(counts), n),
        all_right=rate(int(right.all(0).sum()), n),
    )


def with_front(rows: Sequence[Mitigated]) -> list[Mitigated]:
    """The same, those marked that no other one outdoes."""
    return [
        row.model_copy(update={"on_front": not any(_outdoes(other, row) for other in rows)})
        for row in rows
    ]


def recommend(rows: Sequence[Mitigated], limit: float) -> int | None:
    """The index of the cheapest that surely keeps to the limit; else of the cheapest that does so
    as measured; else of the one that gives most back, if any surely gives something.

    Cheap means few multiply-adds in float, then few bits, then few points with a floor; equals are
    told apart by right predictions.
    `limit`: percentage points that may be lost.
    """
    helping = [index for index, row in enumerate(rows) if known(row.regained)[0] > 0]
    surely = [index for index in helping if rows[index].standing == "pass"]
    measured = [index for index in helping if -known(rows[index].loss)[0] <= limit]
    if fitting := surely or measured:
        return min(fitting, key=lambda index: _how_dear(rows[index]))
    most = [index for index in helping if known(rows[index].regained)[1] > 0]
    return max(most, key=lambda index: (_right(rows[index]), rows[index].on_front), default=None)


def recommended(before: Before, trials: Sequence[Trial], halves: Halves) -> int | None:
    """The index of the one to recommend, by the examples that judge."""
    base = unmitigated(before, halves.judging)
    rows = with_front([base, *(judged(before, trial, halves) for trial in trials)])
    return recommend(rows[1:], before.record.settings.max_drop)


def known(change: PairedChange) -> tuple[float, float, float]:
    """A change and its interval, percentage points; of no example, nothing is known of it."""
    if change.difference_pp is None or change.low_pp is None or change.high_pp is None:
        return 0.0, -100.0, 100.0
    return change.difference_pp, change.low_pp, change.high_pp


def worst_cases(record: Record) -> list[PolicyResult]:
    """Those per example, one at each budget of the run."""
    return [one for one in record.policies if one.kind == "worst" and one.mean_bits is not None]


def random_of_run(before: Before) -> RandomAllocation | None:
    """From the draws of the run itself: nobody looked for anything, so there is none to repeat."""
    record = before.record
    for policy in record.policies:
        if (policy.kind, policy.mean_bits) == ("random", before.mean):
            found = record.outcomes[policy.name]
            if found.draws is not None and len(found) == len(record.table):
                return random_allocation(record.table.targets[found.index], found.draws)
    return None


def float_right(before: Before) -> Rate:
    """Right in float, of the examples that have a prediction there and in the run's worst case."""
    table = before.record.table
    whole = (table.prediction != NONE) & (before.worst != NONE)
    return rate(int((table.prediction == table.targets)[whole].sum()), int(whole.sum()))


def _shares(before: Before, now: Ints, places: Ints) -> dict[str, Any]:
    """Right predictions now and before, and the changes, over the examples that have them all."""
    table = before.record.table
    whole = (table.prediction != NONE) & (before.worst != NONE) & (now != NONE)
    whole = places[whole[places]]
    targets = table.targets[whole]
    in_float, worst, new = (
        found[whole] == targets for found in (table.prediction, before.worst, now)
    )
    loss = change_between(in_float, new)
    return {
        "right": rate(int(new.sum()), len(whole)),
        "before": rate(int(worst.sum()), len(whole)),
        "regained": change_between(worst, new),
        "loss": loss,
        "standing": standing_of(loss, before.record.settings.max_drop),
        "failures": int((now[places] == NONE).sum()),
    }


def _right(row: Mitigated) -> float:
    return row.right.value or 0.0


def _costs(row: Mitigated) -> tuple[float, float]:
    return row.cost.float_macs, row.cost.mean_with_float


def _how_dear(row: Mitigated) -> tuple[float | int, ...]:
    return (*_costs(row), len(row.floors), -_right(row))


def _outdoes(other: Mitigated, row: Mitigated) -> bool:
    mine = (_right(row), *(-cost for cost in _costs(row)))
    theirs = (_right(other), *(-cost for cost in _costs(other)))
    return theirs != mine and all(a >= b for a, b in zip(theirs, mine, strict=True))
