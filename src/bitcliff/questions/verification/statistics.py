"""How far an exported file does what was simulated, from what both predict."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.questions.prediction_checks import prediction_problems
from bitcliff.questions.timing import times_as_long
from bitcliff.questions.verification.record import (
    Differing,
    DifferingExample,
    PolicyObserved,
    Verification,
    VerificationObserved,
    VerifiedPolicy,
)
from bitcliff.record import AnswerKind, Outcomes, Record
from bitcliff.record.arrays import NONE
from bitcliff.record.problems import twice
from bitcliff.stats import rate
from bitcliff.types.rate import Rate

Classes = npt.NDArray[np.int32]

# No network's logits lie so far apart.
_BEYOND_ANY = 1e300


def figures(record: Record, observed: VerificationObserved) -> Verification:
    """Every figure of every policy, and of all together."""
    policies = [_policy(record, one) for one in observed.policies]
    alike, decided = (sum(getattr(one.decisions, k) for one in policies) for k in ("k", "n"))
    points = [point for one in observed.policies for point in one.points]
    return Verification(
        agrees=0 < decided == alike,
        alike=alike,
        decided=decided,
        deepest=_deepest(record, policies),
        compared=sum(one.compared for one in observed.policies),
        values=sum(point.values for point in points),
        rounded_alike=sum(point.rounded_alike for point in points),
        rows=sum(one.rows for one in observed.policies),
        float64_rows=sum(one.float64_rows for one in observed.policies),
        times_as_long=times_as_long(observed.seconds_runtime, observed.seconds_ours),
        policies=policies,
    )


def differing_rows(outcomes: Outcomes, prediction: Classes) -> list[int]:
    """Rows of a condition's examples that a file in a runtime decides otherwise."""
    return np.flatnonzero(outcomes.prediction != prediction).tolist()


def _policy(record: Record, observed: PolicyObserved) -> VerifiedPolicy:
    outcomes, theirs = record.outcomes[observed.policy], observed.prediction
    rows, n = differing_rows(outcomes, theirs), len(outcomes)
    points = observed.points
    return VerifiedPolicy(
        policy=observed.policy,
        decisions=rate(n - len(rows), n),
        right_in_runtime=_right(record, outcomes, theirs),
        right_simulated=_right(record, outcomes, outcomes.prediction),
        allocations=_allocations(outcomes, observed),
        largest_difference=_largest_difference(outcomes, observed),
        values=sum(point.values for point in points),
        equal=sum(point.equal for point in points),
        same_level=sum(point.same_level for point in points),
        first_difference=next((one.name for one in points if one.equal < one.values), None),
        differing=[
            _differing(one, int(theirs[row]))
            for one, row in zip(observed.differing, rows, strict=True)
        ],
    )


def _right(record: Record, outcomes: Outcomes, prediction: Classes) -> Rate:
    """Right predictions; without labels, those as in float."""
    target = record.table.targets[outcomes.index]
    known = target != NONE
    return rate(int((known & (prediction == target)).sum()), int(known.sum()))


def _allocations(outcomes: Outcomes, observed: PolicyObserved) -> Rate | None:
    recorded = outcomes.every_bits()
    if observed.bits is None or recorded is None:
        return None
    return rate(int((observed.bits == recorded).all(1).sum()), len(outcomes))


def _largest_difference(outcomes: Outcomes, observed: PolicyObserved) -> float | None:
    if observed.margin is None:
        return None
    with np.errstate(over="ignore"):
        gaps = np.abs(outcomes.margin - observed.margin)
    gaps = gaps[gaps < _BEYOND_ANY]  # nor where one is NaN
    return float(gaps.max()) if len(gaps) else None


def _differing(observed: Differing, theirs: int) -> DifferingExample:
    return DifferingExample(
        id=observed.id,
        ours=observed.ours,
        runtime=None if theirs == NONE else theirs,
        margin=observed.margin,
        first_point=observed.first_point,
        nudged=rate(observed.changed, observed.nudges) if observed.nudges else None,
    )


def _deepest(record: Record, policies: list[VerifiedPolicy]) -> str | None:
    worst = [one for one in policies if record.by_name[one.policy].threat == "allocation"]
    deepest = min(worst, key=lambda one: one.right_simulated.value or 0.0, default=None)
    return None if deepest is None else deepest.policy


def problems(record: Record, observed: VerificationObserved) -> Iterator[str]:
    """What contradicts the record."""
    yield from twice((one.policy for one in observed.policies), "policy")
    for one in observed.policies:
        if one.policy not in record.outcomes or record.outcomes[one.policy].bits is None:
            yield f"{one.policy!r} is no policy with bits"
            return
        for problem in _policy_problems(record, one):
            yield f"{one.policy!r} {problem}"


def _policy_problems(record: Record, observed: PolicyObserved) -> Iterator[str]:
    outcomes = record.outcomes[observed.policy]
    points = [point.name for point in record.subject.points if point.quantized]
    found = list(prediction_problems(record, observed.prediction, len(outcomes)))
    yield from found
    if found:
        return
    if observed.margin is not None and len(observed.margin) != len(outcomes):
        yield f"has {len(observed.margin)} margins for {len(outcomes)} examples"
    if observed.bits is not None and observed.bits.shape != (len(outcomes), len(points)):
        yield f"allocates bits of shape {observed.bits.shape}, but {len(points)} are quantized"
    if [point.name for point in observed.points] != points:
        yield "is of other points than those that are quantized"
    if any(max(p.rounded_alike, p.equal, p.same_level) > p.values for p in observed.points):
        yield "counts more equal values than there are"
    if observed.compared > len(outcomes) or observed.float64_rows > observed.rows:
        yield f"compares {observed.compared} examples, {observed.float64_rows} rows in float64"
    differing = differing_rows(outcomes, observed.prediction)
    ids = [record.table.ids[place] for place in outcomes.index[differing].tolist()]
    if [one.id for one in observed.differing] != ids:
        yield "lists other examples than those that differ"
    for one in observed.differing:
        yield from _differing_problems(record, one, points)


def _differing_problems(record: Record, one: Differing, points: list[str]) -> Iterator[str]:
    if one.ours is not None and not 0 <= one.ours < record.subject.n_classes:
        yield f"predicts class {one.ours} for {one.id!r}"
    if one.first_point is not None and one.first_point not in points:
        yield f"differs from {one.first_point!r} on, which is no point"
    if one.changed > one.nudges:
        yield f"changes {one.changed} of {one.nudges} nudges"


def older(record: Record, answer: Any) -> dict[str, Any] | None:
    """Of 1.x: predictions are the record's except where an example was listed as differing.

    None where the bits inside a file were others: which, was not kept.
    """
    policies = []
    for one in answer["policies"]:
        outcomes, allocations = record.outcomes.get(one["policy"]), one["allocations"]
        if outcomes is None or (allocations and allocations["k"] != allocations["n"]):
            return None
        policies.append(_older(record, outcomes, one))
    return {**answer, "policies": policies}


def _older(record: Record, outcomes: Outcomes, policy: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("policy", "compared", "rows", "float64_rows", "points")
    theirs = {one["id"]: one["runtime"] for one in policy["differing"]}
    prediction = outcomes.prediction.copy()
    for row, place in enumerate(outcomes.index.tolist()):
        if record.table.ids[place] in theirs:
            runtime = theirs[record.table.ids[place]]
            prediction[row] = NONE if runtime is None else runtime
    return {
        **{name: policy[name] for name in kept},
        "prediction": prediction,
        "margin": None,
        "bits": outcomes.every_bits() if policy["allocations"] else None,
        "differing": [_older_differing(one) for one in policy["differing"]],
    }


def _older_differing(one: Mapping[str, Any]) -> dict[str, Any]:
    nudged = one["nudged"] or {"k": 0, "n": 0}
    kept = ("id", "ours", "margin", "first_point")
    return {
        **{name: one[name] for name in kept},
        "nudges": nudged["n"],
        "changed": nudged["k"],
    }


KIND = AnswerKind(VerificationObserved, figures, problems, older)
