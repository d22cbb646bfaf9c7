"""From per-example outcomes to every figure of a policy. The record's numbers all come from here.

Numeric failures are counted apart: they enter no accuracy, agreement or flip.
"""

from collections import defaultdict
from collections.abc import Sequence

from bitcliff.records import (
    ClassRate,
    Distribution,
    Effort,
    ExampleRow,
    FloatResult,
    Flips,
    Interval,
    PolicyResult,
)
from bitcliff.records.schema import Threat
from bitcliff.stats import holm, mcnemar, median_index, paired_difference, rate, upper_bound
from bitcliff.types.rate import Rate

Pairs = list[tuple[int | None, int]]
"""(label or None, prediction) of the examples that count."""


def float_figures(rows: Sequence[ExampleRow]) -> FloatResult:
    """The network in float over all examples."""
    pairs = [(row.label, row.float_prediction) for row in rows if row.float_prediction is not None]
    return FloatResult(
        accuracy=_accuracy(pairs),
        worst_class=_worst_class(pairs),
        numeric_failures=rate(len(rows) - len(pairs), len(rows)),
    )


def policy_figures(
    rows: Sequence[ExampleRow],
    name: str,
    *,
    threat: Threat,
    description: str,
    mean_bits: float | None,
    total_bits: int | None,
    policy_freedom_log2: float | None,
    allocation: list[int] | None,
    effort: Effort,
) -> PolicyResult:
    """One policy's figures, from the outcomes under its name; Holm's p-value is still to come."""
    mine = [row for row in rows if name in row.outcomes]
    whole = [
        row
        for row in mine
        if row.float_prediction is not None and row.outcomes[name].prediction is not None
    ]
    flips = _flips(whole, name)
    lost, gained = (part.k if part else 0 for part in (flips.lost, flips.gained))
    labelled = flips.lost is not None
    value, low, high = paired_difference(len(whole), lost, gained) if whole else (0.0, -1.0, 1.0)
    pairs = _pairs(whole, name)
    return PolicyResult(
        name=name,
        threat=threat,
        description=description,
        mean_bits=mean_bits,
        total_bits=total_bits,
        policy_freedom_log2=policy_freedom_log2,
        allocation=allocation,
        accuracy=_accuracy(pairs),
        agreement=rate(len(whole) - flips.all.k, len(whole)),
        flips=flips,
        delta_pp=100 * value if labelled else None,
        delta_pp_interval=Interval(low=100 * low, high=100 * high) if labelled else None,
        p_value=mcnemar(lost, gained) if labelled else None,
        p_value_holm=None,
        worst_class=_worst_class(pairs),
        numeric_failures=rate(
            sum(row.outcomes[name].failed_at is not None for row in mine), len(mine)
        ),
        effort=effort,
        distribution=_distribution(whole, name),
    )


def with_holm(policies: Sequence[PolicyResult]) -> list[PolicyResult]:
    """The same results, their p-values adjusted over all policies of the run."""
    tested = [policy for policy in policies if policy.p_value is not None]
    adjusted = holm([policy.p_value for policy in tested if policy.p_value is not None])
    by_name = {policy.name: p for policy, p in zip(tested, adjusted, strict=True)}
    return [
        policy.model_copy(update={"p_value_holm": by_name.get(policy.name)})
        for policy in policies
    ]


def at_risk(rows: Sequence[ExampleRow], policies: Sequence[PolicyResult]) -> list[str]:
    """Ids of the examples whose decision a policy-only worst case flips, worst margin first."""
    names = [policy.name for policy in policies if policy.threat == "policy-only"]
    worst: dict[str, float] = {}
    for row in rows:
        for name in names:
            outcome = row.outcomes.get(name)
            if outcome is None or outcome.prediction is None or outcome.margin is None:
                continue
            if outcome.prediction != row.float_prediction:
                worst[row.id] = min(worst.get(row.id, outcome.margin), outcome.margin)
    return sorted(worst, key=lambda name: (worst[name], name))


def median_draw(rows: Sequence[ExampleRow], predictions: Sequence[Sequence[int | None]]) -> int:
    """Which draw has the median accuracy (agreement without labels); `predictions` by draw."""
    return median_index([_score(rows, draw) for draw in predictions])


def _score(rows: Sequence[ExampleRow], draw: Sequence[int | None]) -> int:
    right = [row.float_prediction if row.label is None else row.label for row in rows]
    return sum(a is not None and a == b for a, b in zip(draw, right, strict=True))


def _pairs(rows: Sequence[ExampleRow], name: str) -> Pairs:
    return [
        (row.label, prediction)
        for row in rows
        if (prediction := row.outcomes[name].prediction) is not None
    ]


def _accuracy(pairs: Sequence[tuple[int | None, int]]) -> Rate | None:
    if any(label is None for label, _ in pairs):
        return None
    return rate(sum(label == prediction for label, prediction in pairs), len(pairs))


def _worst_class(pairs: Sequence[tuple[int | None, int]]) -> ClassRate | None:
    """The class of lowest accuracy; ties go to the larger class, then the lower label."""
    by_label: dict[int, list[bool]] = defaultdict(list)
    for label, prediction in pairs:
        if label is None:
            return None
        by_label[label].append(label == prediction)
    if not by_label:
        return None
    worst = min(by_label, key=lambda c: (sum(by_label[c]) / len(by_label[c]), -len(by_label[c]), c))
    return ClassRate(label=worst, accuracy=rate(sum(by_label[worst]), len(by_label[worst])))


def _flips(rows: Sequence[ExampleRow], name: str) -> Flips:
    n = len(rows)
    changed = [r for r in rows if r.outcomes[name].prediction != r.float_prediction]
    lost = gained = None
    if all(row.label is not None for row in rows):
        lost = rate(sum(row.float_prediction == row.label for row in changed), n)
        gained = rate(sum(row.outcomes[name].prediction == row.label for row in changed), n)
    return Flips(
        all=rate(len(changed), n),
        lost=lost,
        gained=gained,
        upper_95=upper_bound(0, n) if n and not changed else None,
    )


def _distribution(rows: Sequence[ExampleRow], name: str) -> Distribution | None:
    """Each draw by itself. An example whose median draw failed numerically is left out of all."""
    if not rows or rows[0].outcomes[name].draws is None:
        return None
    draws = list(zip(*(row.outcomes[name].draws or [] for row in rows), strict=True))
    labelled = all(row.label is not None for row in rows)
    accuracy, agreement = [], []
    for draw in draws:
        whole = [(r, p) for r, p in zip(rows, draw, strict=True) if p is not None]
        agreement.append(rate(sum(p == r.float_prediction for r, p in whole), len(whole)))
        accuracy.append(rate(sum(p == r.label for r, p in whole), len(whole)))
    return Distribution(
        draws=len(draws),
        median_draw=median_draw(rows, draws),
        accuracy=accuracy if labelled else None,
        agreement=agreement,
    )
