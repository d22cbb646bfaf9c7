"""Is the remedies' part of an explanation consistent with its record?"""

from collections.abc import Iterator

from bitcliff.records.explanation_remedies import Change, Remedied, Remedies
from bitcliff.records.plan import QuantizationPlan
from bitcliff.records.schema import Record

_FLOAT_BITS = 32


def remedies_problems(record: Record, found: Remedies) -> Iterator[str]:
    """What contradicts the record, or itself."""
    for problem in _part_problems(record, found):
        yield f"remedies: {problem}"
    base = [] if found.unremedied is None else [found.unremedied]
    for row in (*base, *found.remedies, *found.recommended, *found.confirmed):
        for problem in _row_problems(record, row):
            yield f"remedy {row.words!r}: {problem}"


def _part_problems(record: Record, found: Remedies) -> Iterator[str]:
    if found.max_drop != record.settings.max_drop:
        yield f"max_drop is {found.max_drop}, but the run's is {record.settings.max_drop}"
    base, n = found.unremedied, len(record.examples)
    if (base is None) != (found.worst is None) or (base is None) != (found.float_right is None):
        yield "worst, float_right and unremedied go together"
    if (found.remedies or found.recommended) and base is None:
        yield "there are remedies, but unremedied is null"
    if found.worst is not None and found.worst not in {policy.name for policy in record.policies}:
        yield f"worst is {found.worst!r}, which is no policy's name"
    if max(found.chosen_on, found.recommended_on) >= n:
        yield f"chosen on {found.chosen_on} and {found.recommended_on} of {n} examples"
    if base is not None and found.float_right is not None:
        if (base.family, base.cost.in_float) != ("none", 0) or base.before != base.right:
            yield "unremedied is not the run's own worst case"
        lost = base.right.k - found.float_right.k
        if base.right.n != found.float_right.n or not _is_change(base.loss, lost, base.right.n):
            yield "the loss of unremedied is not from float_right to right"
    if found.not_measured is not None and found.remedies:
        yield "not_measured goes without remedies"
    if any(row.family == "none" for row in found.remedies):
        yield "a remedy that changes nothing"
    yield from _front_problems([*([] if base is None else [base]), *found.remedies])
    if (drawn := found.random) is not None:
        counts = [drawn.all_right.k, drawn.worst.k, drawn.mean.k]
        if {drawn.mean.n, drawn.worst.n, drawn.all_right.n} != {n} or counts != sorted(counts):
            yield f"random is not of {n} examples, or its worst draw is not the worst"
    yield from _plan_problems(record, found, found.plan)


def _plan_problems(record: Record, found: Remedies, plan: QuantizationPlan | None) -> Iterator[str]:
    if (plan is None) != (not found.recommended):
        yield "a plan goes with what is recommended, and is null without"
    if len(found.confirmed) != (len(found.recommended) if found.recommended_on else 0):
        yield "what is confirmed is not what is recommended"
    if plan is None:
        return
    budgets = list(record.settings.budgets)
    if len(plan.budget) != len(found.recommended) or not set(plan.budget) <= set(budgets):
        yield f"the plan's budgets are {plan.budget}, those of the run {budgets}"
    if plan.randomised:
        yield "the plan draws at random, which is no remedy that was tried"
    tried = {row.words for row in found.remedies}
    for row in (*found.recommended, *found.confirmed):
        if row.words not in tried:
            yield f"recommended is {row.words!r}, which was not tried"
        if (row.float_points, row.floors, row.scheme) != (
            plan.float_points,
            plan.floors,
            plan.scheme,
        ):
            yield f"the plan is not what is recommended: {row.words!r}"


def _front_problems(rows: list[Remedied]) -> Iterator[str]:
    worth = [
        (row.right.value or 0.0, -row.cost.float_macs, -row.cost.mean_with_float) for row in rows
    ]
    for row, mine in zip(rows, worth, strict=True):
        outdone = any(
            other != mine and all(a >= b for a, b in zip(other, mine, strict=True))
            for other in worth
        )
        # Where nothing was tried there is no front.
        if len(rows) > 1 and row.on_front == outdone:
            yield f"{row.words!r} is outdone by another remedy, or by none, against on_front"


def _row_problems(record: Record, row: Remedied) -> Iterator[str]:
    asked, cost, n = record.settings, row.cost, len(record.examples)
    names = [point.name for point in record.subject.points]
    quantized = [point.name for point in record.subject.points if point.quantized]
    for name in (*row.float_points, *row.floors):
        if name not in names:
            yield f"{name!r} is no point's name"
    if not set(row.floors.values()) <= set(asked.bits):
        yield f"its floors are {sorted(row.floors.values())}, the bits {list(asked.bits)}"
    clipped = row.scheme.startswith("percentile(") and row.family == "percentile"
    if not clipped and row.scheme != asked.scheme:
        yield f"its scheme is {row.scheme}, the run's {asked.scheme}"
    named, left = set(row.float_points) & set(quantized), len(quantized) - cost.in_float
    if cost.in_float != len(named) or not left:
        yield f"{cost.in_float} of {len(quantized)} points in float, which it does not name"
    elif not _is_mean(cost.mean_bits, cost.total_bits, left):
        yield f"mean_bits is {cost.mean_bits}, which its total does not give"
    elif not _is_mean(
        cost.mean_with_float, cost.total_bits + _FLOAT_BITS * cost.in_float, len(quantized)
    ):
        yield f"mean_with_float is {cost.mean_with_float}, which its total does not give"
    if row.right.n != row.before.n or max(row.right.n, row.failures) > n:
        yield f"of {row.right.n}, {row.before.n} and {row.failures} of {n} examples"
    elif not _is_change(row.regained, row.right.k - row.before.k, row.right.n):
        yield "regained is not from before to right"
    limit = asked.max_drop
    standing = "pass" if -row.loss.low <= limit else "fail" if -row.loss.high > limit else None
    if row.standing != (standing or "inconclusive"):
        yield f"its standing is {row.standing}, which its loss does not give"


def _is_mean(mean: float, total: int, count: int) -> bool:
    return abs(mean * count - total) <= 1e-6 * total


def _is_change(change: Change, k: int, n: int) -> bool:
    return abs(change.value * n - 100 * k) <= 1e-6 * max(1, n)
