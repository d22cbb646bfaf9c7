"""Which inputs a policy puts at risk, how far margins shrink, and what those at risk share."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bitcliff.assess.measured import Predictions
from bitcliff.questions.context import Context
from bitcliff.questions.inputs.input_features import Measurement, classes_of, traits
from bitcliff.questions.inputs.record import (
    ClassAtRisk,
    Comparison,
    InputsAtRisk,
    PolicyRisk,
    Quantiles,
    Trait,
)
from bitcliff.questions.inputs.reference_run import check_twin, transitory_points
from bitcliff.records import ExampleRow, Outcome, Record
from bitcliff.stats import auroc, class_test, cramers_v, holm, rate

_SHOWN = 12

Groups = tuple[list[int], list[int]]
"""The places of the examples at risk, and of those they are compared with."""


def explain_inputs(context: Context) -> InputsAtRisk:
    """Ask of every explained policy which examples it puts at risk, and what sets them apart.

    Raises:
        InputError: the record of `context.twin` is of other data.
    """
    record, twin = context.record, context.twin
    twin_info = None if twin is None else check_twin(record, twin)
    names = context.everyone
    context.tell("traits of the inputs", 0, 1 + len(names))
    measured, not_measured = traits(context)
    risks = []
    for number, policy in enumerate(names):
        context.tell(policy, 1 + number, 1 + len(names))
        risks.append(_risk(record, policy, classes_of(context.test), measured, twin))
    label = "the label" if record.subject.labelled else "the answer in float"
    return InputsAtRisk(
        margin_scale=context.test.evaluator.scale,
        traits=[Trait(key="class", measured=label), *(one.trait for one in measured)],
        not_measured=not_measured,
        twin=twin_info,
        policies=with_holm(risks),
        pictures=_pictures(context, risks),
    )


def groups_of(rows: Sequence[ExampleRow], policy: str, labelled: bool) -> Groups:
    """Those at risk, and the others that could have been.

    With labels, of those right in float the ones that are wrong under the policy, and the ones that
    are not: what is wrong already cannot be lost, and would only blur the comparison. Without, the
    ones whose answer changes, and all others. Numeric failures are in neither.
    """
    able = [
        place
        for place in _whole(rows, policy)
        if not labelled or rows[place].float_prediction == rows[place].label
    ]
    hit = [_changed(rows[place], policy) for place in able]
    return (
        [place for place, risk in zip(able, hit, strict=True) if risk],
        [place for place, risk in zip(able, hit, strict=True) if not risk],
    )


def compare(measured: Measurement, groups: Groups) -> Comparison:
    """One trait of those at risk against the same of the others."""
    risk, safe = (_finite(measured.values[group]) for group in groups)
    empty = not len(risk) or not len(safe)
    found = None if empty else auroc(risk, safe)
    return Comparison(
        key=measured.trait.key,
        n_risk=len(risk),
        n_safe=len(safe),
        median_risk=float(np.median(risk)) if len(risk) else None,
        median_safe=float(np.median(safe)) if len(safe) else None,
        effect=None if found is None else found.value,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        p_value=None if found is None else found.p_value,
    )


def compare_classes(classes: Predictions, groups: Groups) -> tuple[Comparison, list[ClassAtRisk]]:
    """The classes of those at risk against those of the others, and each class's share at risk."""
    risk, safe = (Counter(c for p in group if (c := classes[p]) is not None) for group in groups)
    present = sorted(risk.keys() | safe.keys())
    a, b = [risk[c] for c in present], [safe[c] for c in present]
    empty = not sum(a) or not sum(b)
    shares = [
        ClassAtRisk(label=c, at_risk=rate(risk[c], risk[c] + safe[c]))
        for c in sorted(present, key=lambda c: (-risk[c] / (risk[c] + safe[c]), -risk[c], c))
    ]
    return (
        Comparison(
            key="class",
            n_risk=sum(a),
            n_safe=sum(b),
            effect=None if empty else cramers_v(a, b),
            p_value=None if empty else class_test(a, b),
        ),
        shares,
    )


def with_holm(risks: Sequence[PolicyRisk]) -> list[PolicyRisk]:
    """The same, p-values adjusted over all tests of all policies."""
    p_values = [c.p_value for r in risks for c in r.comparisons if c.p_value is not None]
    adjusted = iter(holm(p_values))
    return [
        risk.model_copy(
            update={
                "comparisons": [
                    c
                    if c.p_value is None
                    else c.model_copy(update={"p_value_holm": next(adjusted)})
                    for c in risk.comparisons
                ]
            }
        )
        for risk in risks
    ]


def _risk(
    record: Record,
    policy: str,
    classes: Predictions,
    measured: Sequence[Measurement],
    twin: Record | None,
) -> PolicyRisk:
    rows, labelled = record.examples, record.subject.labelled
    groups = groups_of(rows, policy, labelled)
    by_class, shares = compare_classes(classes, groups)
    flips = next(one for one in record.policies if one.name == policy).flips
    n = flips.all.n
    pair = (None, None) if twin is None else transitory_points(record, twin, policy)
    eroded = _erosion([rows[place] for place in _whole(rows, policy)], policy)
    return PolicyRisk(
        policy=policy,
        numeric_failures=rate(len(rows) - n, len(rows)),
        at_risk=rate(len(groups[0]), len(groups[0]) + len(groups[1])),
        flipped=flips.all,
        lost=flips.lost,
        gained=flips.gained,
        other_wrong=None
        if flips.lost is None or flips.gained is None
        else rate(flips.all.k - flips.lost.k - flips.gained.k, n),
        transitory=pair[0],
        transitory_of_all=pair[1],
        erosion=_quantiles(eroded),
        eroded=rate(int((eroded > 0).sum()), len(eroded)),
        comparisons=[by_class, *(compare(one, groups) for one in measured)],
        classes=shares,
        worst=_worst([rows[place] for place in groups[0]], policy),
    )


def _whole(rows: Sequence[ExampleRow], policy: str) -> list[int]:
    """Places of the examples that gave an answer in float and under the policy."""
    return [
        place
        for place, row in enumerate(rows)
        if row.float_prediction is not None and row.outcomes[policy].prediction is not None
    ]


def _changed(row: ExampleRow, policy: str) -> bool:
    return row.outcomes[policy].prediction != row.float_prediction


def _erosion(rows: Sequence[ExampleRow], policy: str) -> npt.NDArray[np.float64]:
    """Float margin minus the margin under the policy, of each example that has both, logits."""
    return np.array([_lost_margin(row, row.outcomes[policy]) for row in rows], dtype=np.float64)


def _lost_margin(row: ExampleRow, outcome: Outcome) -> float:
    # Both are there wherever there is an answer.
    return (row.float_margin or 0.0) - (outcome.margin or 0.0)


def _quantiles(values: npt.NDArray[np.float64]) -> Quantiles | None:
    if not len(values):
        return None
    found = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    return Quantiles(p05=found[0], p25=found[1], median=found[2], p75=found[3], p95=found[4])


def _worst(rows: Sequence[ExampleRow], policy: str) -> list[str]:
    """Those that lost most margin, most first."""
    lost = {row.id: _lost_margin(row, row.outcomes[policy]) for row in rows}
    return sorted(lost, key=lambda name: (-lost[name], name))[:_SHOWN]


def _pictures(context: Context, risks: Sequence[PolicyRisk]) -> dict[str, str]:
    """Of the worst ones, where there are pictures and the record itself keeps none."""
    pictures = context.test.examples.thumbnails
    if pictures is None:
        return {}
    shown = {name for risk in risks for name in risk.worst}
    return {
        row.id: picture
        for row, picture in zip(context.record.examples, pictures, strict=True)
        if row.id in shown and row.thumbnail is None
    }


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values[np.isfinite(values)]
