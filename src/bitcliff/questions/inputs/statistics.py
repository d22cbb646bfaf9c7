"""Which examples a policy puts at risk, how far margins shrink, and what those at risk share."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bitcliff.questions.at_risk import Under, Values, under
from bitcliff.questions.explained import about_explained
from bitcliff.questions.features import FeatureKey, MeasuredFeature
from bitcliff.questions.inputs.record import (
    ClassAtRisk,
    Comparison,
    Feature,
    InputsAtRisk,
    InputsObserved,
    PolicyRisk,
    Quantiles,
    Reference,
    ReferenceRun,
)
from bitcliff.questions.prediction_checks import prediction_problems
from bitcliff.record import AnswerKind, Record
from bitcliff.record.arrays import NONE
from bitcliff.record.problems import twice
from bitcliff.stats import (
    auroc,
    class_test,
    cramers_v,
    rank_test,
    rate,
    resamples,
    transitory,
    with_holm,
)
from bitcliff.types.rate import Rate

_SHOWN = 12
# Beyond what any network gives, and small enough for a mean of two.
_LARGEST = 1e300
# The observed order counts as one of the shuffles, which are 10,000 with it.
_LEAST = 1e-4 - 1e-9

Told = Mapping[FeatureKey, float]
"""The p-values that were found by shuffling, by feature."""


def figures(record: Record, observed: InputsObserved) -> InputsAtRisk:
    """Every figure that the outcomes of a record give, together with the features."""
    against = "label" if record.settings.margin == "label" else "float prediction"
    of_class = "the label" if record.subject.labelled else "the prediction in float"
    reference = observed.reference
    risks = [_risk(record, observed, name) for name in observed.resampled]
    return InputsAtRisk(
        margin_scale=observed.margin_scale,
        features=[
            Feature(key="class", measured=of_class),
            Feature(key="margin", measured=f"in float, against the {against}, logits"),
            *(Feature(key=one.key, measured=one.measured) for one in observed.features),
        ],
        not_measured=observed.not_measured,
        reference=None
        if reference is None
        else Reference(model=reference.model, n_common=len(reference.places)),
        policies=_adjusted(risks),
    )


def resampled(
    record: Record, features: Sequence[MeasuredFeature], policy: str
) -> dict[FeatureKey, float]:
    """The p-values of one policy's comparisons that are found by shuffling, to be kept."""
    found = under(record.table, record.outcomes[policy])
    told: dict[FeatureKey, float] = {}
    for key in _shuffled(record, features, found):
        if key == "class":
            told[key] = class_test(*_class_counts(record, found)[1:])
        else:
            told[key] = rank_test(*_groups(_values(record, features)[key], found))
    return told


def _shuffled(
    record: Record, features: Sequence[MeasuredFeature], found: Under
) -> Iterator[FeatureKey]:
    """The features whose p-values are found by shuffling."""
    if found.risk.any() and found.safe.any():
        yield "class"
    for key, values in _values(record, features).items():
        risk, safe = _groups(values, found)
        if len(risk) and len(safe) and resamples(risk, safe):
            yield key


def _values(record: Record, features: Sequence[MeasuredFeature]) -> dict[FeatureKey, Values]:
    return {"margin": record.table.margin, **{one.key: one.values for one in features}}


def _groups(values: Values, found: Under) -> tuple[Values, Values]:
    """The values of those at risk and of the others, as far as they have one."""
    there = np.isfinite(values)
    return values[there & found.risk], values[there & found.safe]


def _risk(record: Record, observed: InputsObserved, policy: str) -> PolicyRisk:
    found, flips = under(record.table, record.outcomes[policy]), record.by_name[policy].flips
    n, k = len(record.table), int(found.risk.sum())
    told, values = observed.resampled[policy], _values(record, observed.features)
    by_class, classes = _compare_classes(record, found, told)
    both, of_all = _transitory(record, observed.reference, found)
    eroded = (record.table.margin - found.margin)[found.whole]
    other = None
    if flips.lost is not None and flips.gained is not None:
        other = rate(flips.all.k - flips.lost.k - flips.gained.k, flips.all.n)
    return PolicyRisk(
        policy=policy,
        numeric_failures=rate(n - flips.all.n, n),
        at_risk=rate(k, k + int(found.safe.sum())),
        flipped=flips.all,
        lost=flips.lost,
        gained=flips.gained,
        other_wrong=other,
        transitory=both,
        transitory_of_all=of_all,
        erosion=_quantiles(eroded),
        eroded=rate(int((eroded > 0).sum()), len(eroded)),
        comparisons=[
            by_class,
            *(_compare(key, *_groups(each, found), told) for key, each in values.items()),
        ],
        classes=classes,
        worst=worst(record, policy),
    )


def _compare(key: FeatureKey, risk: Values, safe: Values, told: Told) -> Comparison:
    """One feature of those at risk against the same of the others."""
    both = len(risk) and len(safe)
    found = auroc(risk, safe) if both else None
    p_value = (told[key] if key in told else rank_test(risk, safe)) if both else None
    return Comparison(
        key=key,
        n_risk=len(risk),
        n_safe=len(safe),
        median_risk=float(np.median(risk)) if len(risk) else None,
        median_safe=float(np.median(safe)) if len(safe) else None,
        effect=None if found is None else found.value,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        p_value=p_value,
    )


def _compare_classes(
    record: Record, found: Under, told: Told
) -> tuple[Comparison, list[ClassAtRisk]]:
    """The classes of those at risk against those of the others, and each class's share at risk."""
    present, risk, safe = _class_counts(record, found)
    shares = [
        ClassAtRisk(label=label, at_risk=rate(k, k + rest))
        for label, k, rest in sorted(
            zip(present, risk, safe, strict=True),
            key=lambda one: (-one[1] / (one[1] + one[2]), -one[1], one[0]),
        )
    ]
    compared = Comparison(
        key="class",
        n_risk=sum(risk),
        n_safe=sum(safe),
        effect=cramers_v(risk, safe) if sum(risk) and sum(safe) else None,
        p_value=told.get("class"),
    )
    return compared, shares


def _class_counts(record: Record, found: Under) -> tuple[list[int], list[int], list[int]]:
    """The classes that occur, and how many of each are at risk and not."""
    able = found.risk | found.safe
    present, of = np.unique(record.table.targets[able], return_inverse=True)
    risk, safe = (
        np.bincount(of[one[able]], minlength=len(present)).tolist()
        for one in (found.risk, found.safe)
    )
    return present.tolist(), risk, safe


def _transitory(
    record: Record, reference: ReferenceRun | None, found: Under
) -> tuple[Rate | None, Rate | None]:
    """Right in float in both networks and wrong in this one under the policy.

    Out of those right in both, and out of all that the two runs have in common. Examples without a
    prediction, in either float or under the policy, do not count.
    """
    if reference is None:
        return None, None
    there = found.whole[reference.places] & (reference.prediction != NONE)
    places, theirs = reference.places[there], reference.prediction[there]
    target, mine = record.table.targets[places], record.table.prediction[places]
    right = (mine == target) & (theirs == target)
    return transitory(right.tolist(), (found.prediction[places] == target).tolist())


def _quantiles(values: Values) -> Quantiles | None:
    if not len(values):
        return None
    found = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    return Quantiles(p05=found[0], p25=found[1], median=found[2], p75=found[3], p95=found[4])


def worst(record: Record, policy: str) -> list[str]:
    """Ids of the examples at risk that lost most margin, most first."""
    found, ids = under(record.table, record.outcomes[policy]), record.table.ids
    lost = record.table.margin - found.margin
    places = sorted(np.flatnonzero(found.risk).tolist(), key=lambda p: (-lost[p], ids[p]))
    return [ids[place] for place in places[:_SHOWN]]


def _adjusted(risks: Sequence[PolicyRisk]) -> list[PolicyRisk]:
    """The same, p-values adjusted over all tests of all policies."""
    adjusted = iter(with_holm([one for risk in risks for one in risk.comparisons]))
    return [
        risk.model_copy(update={"comparisons": [next(adjusted) for _ in risk.comparisons]})
        for risk in risks
    ]


def problems(record: Record, observed: InputsObserved) -> Iterator[str]:
    """What contradicts the record, or itself."""
    n = len(record.table)
    yield from twice(
        [*(one.key for one in observed.features), *(one.key for one in observed.not_measured)],
        "feature",
    )
    if unknown := observed.images.keys() - set(record.table.ids):
        yield f"an image of {sorted(unknown)[0]!r}, which is no example's id"
    sizes = np.sort(np.abs(record.table.margin[np.isfinite(record.table.margin)]))
    # Against the label a margin may be larger; another machine gives slightly other ones.
    if len(sizes) and observed.margin_scale > 1.01 * sizes[(len(sizes) - 1) // 2]:
        yield f"margin_scale is {observed.margin_scale}, above the median of the float margins"
    if observed.reference is not None:
        yield from _reference(record, observed.reference)
    wrong = [
        f"{one.key} of {len(one.values)} examples, there are {n}"
        for one in observed.features
        if len(one.values) != n
    ]
    wrong += about_explained(record, observed.resampled)
    yield from wrong
    if not wrong:
        yield from _values_that_fit(record, observed)


def _reference(record: Record, found: ReferenceRun) -> Iterator[str]:
    places, n = found.places, len(record.table)
    if not record.subject.labelled:
        yield "a reference, which needs labels"
    if not len(places) or len(np.unique(places)) < len(places):
        yield "the places in common with the reference must be there, each once"
    elif not 0 <= places.min() <= places.max() < n:
        yield f"the places in common with the reference are not among {n} examples"
    for problem in prediction_problems(record, found.prediction, len(places)):
        yield f"the reference {problem}"


def _values_that_fit(record: Record, observed: InputsObserved) -> Iterator[str]:
    margins = [record.table.margin, *(record.outcomes[one].margin for one in observed.resampled)]
    for values in (*margins, *(one.values for one in observed.features)):
        if (np.abs(values[np.isfinite(values)]) > _LARGEST).any():
            yield "a margin or a feature is too large to reckon with"
            return
    for policy, told in observed.resampled.items():
        if told.keys() != (
            due := {
                *_shuffled(record, observed.features, under(record.table, record.outcomes[policy]))
            }
        ):
            yield f"p-values by shuffling of {sorted(told)} under {policy!r}, not of {sorted(due)}"
        if told and min(told.values()) < _LEAST:
            yield f"a p-value by shuffling of {min(told.values())}, which no shuffling gives"


KIND = AnswerKind(InputsObserved, figures, problems)
