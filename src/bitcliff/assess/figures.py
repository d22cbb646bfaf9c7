"""From per-example outcomes to every figure of a policy. The record's numbers all come from here.

Numeric failures are counted apart: they enter no accuracy, agreement or flip.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from bitcliff.assess.measured import Measured, Predictions
from bitcliff.records import (
    ClassRate,
    Distribution,
    ExampleRow,
    Flips,
    FloatResult,
    Interval,
    PolicyResult,
)
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


def policy_figures(rows: Sequence[ExampleRow], measured: Measured) -> PolicyResult:
    """One policy's figures, from the outcomes under its name; Holm's p-value is still to come.

    `measured` says what the policy is, and what broke on the way; its numbers come from `rows`.
    """
    name = measured.name
    mine = [row for row in rows if name in row.outcomes]
    whole = [
        row
        for row in mine
        if row.float_prediction is not None and row.outcomes[name].prediction is not None
    ]
    labelled = all(row.label is not None for row in mine)
    flips = _flips(whole, name, labelled)
    pairs = _pairs(whole, name)
    failed = sum(row.outcomes[name].failed_at is not None for row in mine)
    return PolicyResult(
        **measured.model_dump(exclude={"outcomes", "broken", "strays"}),
        accuracy=_accuracy(pairs) if labelled else None,
        agreement=rate(len(whole) - flips.all.k, len(whole)),
        flips=flips,
        **_difference(flips),
        p_value_holm=None,
        worst_class=_worst_class(pairs),
        numeric_failures=rate(failed, len(mine)),
        broken=[rows[place].id for place in measured.broken],
        distribution=_distribution(mine, name),
        repeated=_repeated(whole, name),
    )


def _repeated(rows: Sequence[ExampleRow], name: str) -> Rate | None:
    """Of the flips, how many stay flips in every repeat; None where nothing was repeated."""
    if not rows or any(row.outcomes[name].repeats is None for row in rows):
        return None
    flipped = [r for r in rows if r.outcomes[name].prediction != r.float_prediction]
    stay = sum(
        all(again not in (None, row.float_prediction) for again in row.outcomes[name].repeats or [])
        for row in flipped
    )
    return rate(stay, len(flipped))


def _difference(flips: Flips) -> dict[str, Any]:
    """Change of accuracy with its interval and p-value; nothing without labels or examples."""
    if flips.lost is None or flips.gained is None or flips.all.n == 0:
        return {"delta_pp": None, "delta_pp_interval": None, "p_value": None}
    lost, gained = flips.lost.k, flips.gained.k
    value, low, high = paired_difference(flips.all.n, lost, gained)
    return {
        "delta_pp": 100 * value,
        "delta_pp_interval": Interval(low=100 * low, high=100 * high),
        "p_value": mcnemar(lost, gained),
    }


def with_holm(policies: Sequence[PolicyResult]) -> list[PolicyResult]:
    """The same results, their p-values adjusted over all policies of the run."""
    tested = [policy for policy in policies if policy.p_value is not None]
    adjusted = holm([policy.p_value for policy in tested if policy.p_value is not None])
    by_name = {policy.name: p for policy, p in zip(tested, adjusted, strict=True)}
    return [
        policy.model_copy(update={"p_value_holm": by_name.get(policy.name)}) for policy in policies
    ]


def at_risk(rows: Sequence[ExampleRow], policies: Sequence[PolicyResult]) -> list[str]:
    """Ids of the examples that a policy-only worst case or a runtime flips, worst margin first."""
    names = [p.name for p in policies if p.threat == "policy-only" or p.runtime is not None]
    worst: dict[str, float] = {}
    for row in rows:
        for name in names:
            outcome = row.outcomes.get(name)
            if outcome is None or outcome.margin is None or row.float_prediction is None:
                continue
            if outcome.prediction != row.float_prediction:
                worst[row.id] = min(worst.get(row.id, outcome.margin), outcome.margin)
    return sorted(worst, key=lambda name: (worst[name], name))


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


def _flips(rows: Sequence[ExampleRow], name: str, labelled: bool) -> Flips:
    n = len(rows)
    changed = [r for r in rows if r.outcomes[name].prediction != r.float_prediction]
    lost = gained = None
    if labelled:
        lost = rate(sum(row.float_prediction == row.label for row in changed), n)
        gained = rate(sum(row.outcomes[name].prediction == row.label for row in changed), n)
    return Flips(
        all=rate(len(changed), n),
        lost=lost,
        gained=gained,
        upper_95=upper_bound(0, n) if n and not changed else None,
    )


def _distribution(rows: Sequence[ExampleRow], name: str) -> Distribution | None:
    """Each draw by itself, over the examples that it and float gave an answer for."""
    if not rows or rows[0].outcomes[name].draws is None:
        return None
    draws = list(zip(*(row.outcomes[name].draws or [] for row in rows), strict=True))
    labelled = all(row.label is not None for row in rows)
    accuracy, agreement = [], []
    for draw in draws:
        whole = [
            (row, prediction)
            for row, prediction in zip(rows, draw, strict=True)
            if row.float_prediction is not None and prediction is not None
        ]
        agreement.append(rate(sum(p == r.float_prediction for r, p in whole), len(whole)))
        accuracy.append(rate(sum(p == r.label for r, p in whole), len(whole)))
    return Distribution(
        draws=len(draws),
        median_draw=median_draw(draws, right_answers(rows)),
        accuracy=accuracy if labelled else None,
        agreement=agreement,
    )


def right_answers(rows: Sequence[ExampleRow]) -> list[int | None]:
    """What counts as right: the labels; without them what float says."""
    return [row.float_prediction if row.label is None else row.label for row in rows]


def median_draw(draws: Sequence[Predictions], wanted: Predictions) -> int:
    """Which draw has the median number of right answers; a numeric failure is none."""
    return median_index(
        [sum(p is not None and p == w for p, w in zip(draw, wanted, strict=True)) for draw in draws]
    )
