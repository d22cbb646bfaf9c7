"""From the worst case under each mitigation to every figure, and to the one to recommend."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from bitcliff.questions.halves import Halves
from bitcliff.questions.mitigations.judging import (
    Before,
    deepest,
    float_right,
    known,
    mitigated,
    random_of_run,
    recommended,
    searched,
    unmitigated,
    with_front,
    worst_cases,
)
from bitcliff.questions.mitigations.record import (
    Mitigated,
    Mitigations,
    MitigationsObserved,
    Trial,
    WorstCase,
)
from bitcliff.questions.plan_in_runtime import plan_run_problems, plan_there
from bitcliff.record import AnswerKind, Record
from bitcliff.record.arrays import NONE
from bitcliff.record.plan import QuantizationPlan


def figures(record: Record, observed: MitigationsObserved) -> Mitigations:
    """Every figure of what was tried."""
    before, limit = deepest(record), record.settings.max_drop
    if before is None:
        return Mitigations(max_drop=limit, not_measured="the run looked for no worst case")
    halves = Halves(len(record.table), observed.half)
    base = unmitigated(before, halves.everyone)
    found = Mitigations(
        max_drop=limit, worst=before.policy.name, float_right=float_right(before), unmitigated=base
    )
    if known(base.loss)[0] >= 0:
        return found.model_copy(update={"not_measured": "the worst case found loses nothing"})
    return found.model_copy(update=_of_trials(before, base, observed, halves))


def problems(record: Record, observed: MitigationsObserved) -> Iterator[str]:
    """What contradicts the record, or itself."""
    halves, before = Halves(len(record.table), observed.half), deepest(record)
    if before is not None and not any(point.quantized for point in record.subject.points):
        yield "there is a worst case, but no point is quantized"
        return
    if before is None or known(unmitigated(before, halves.everyone).loss)[0] >= 0:
        if observed.trials:
            yield "there is nothing to mend, but mitigations were tried"
        return
    for problem in halves.problems:
        yield problem
        return
    for trial in observed.trials:
        for problem in _trial_problems(before, observed, trial):
            yield f"{trial.words!r}: {problem}"
            return
    yield from plan_run_problems(record, observed.in_runtimes)
    index = recommended(before, observed.trials, halves)
    asked = [] if index is None else observed.trials[index].float_points
    if any(one.points != asked for one in observed.in_runtimes):
        yield "runtimes kept other points in float than the recommended mitigation does"


def older(_record: Record, answer: Any) -> dict[str, Any] | None:
    """Schema 1.x held the predictions of no mitigation; enough where none was tried."""
    if answer.get("not_measured") is None:
        return None
    return {"half": np.array([], dtype=np.int32), "trials": []}


def _of_trials(
    before: Before, base: Mitigated, observed: MitigationsObserved, halves: Halves
) -> dict[str, Any]:
    trials = observed.trials
    first, *rows = with_front([base, *(_shown(before, trial, halves) for trial in trials)])
    index = recommended(before, trials, halves)
    shown: list[Mitigated] = []
    confirmed: list[Mitigated] = []
    plan = None
    if index is not None:
        shown, confirmed = _checked(before.record, trials[index], halves)
        plan = _plan(before.record, trials[index], observed)
    return {
        "unmitigated": first,
        "tried": rows,
        "random": random_of_run(before),
        "chosen_on": len(halves.half) if any(t.on_half is not None for t in trials) else 0,
        "tuned": observed.tuned is not None,
        "recommended_on": len(halves.judging) if halves.held_out and shown else 0,
        "recommended": shown,
        "confirmed": confirmed,
        "plan": plan,
        "in_runtimes": [
            plan_there(before.record, one, halves.rest if halves.held_out else halves.everyone)
            for one in observed.in_runtimes
        ],
    }


def _shown(before: Before, trial: Trial, halves: Halves) -> Mitigated:
    places = searched(halves, trial)
    return mitigated(before, trial, trial.worst, places, places)


def _checked(
    record: Record, trial: Trial, halves: Halves
) -> tuple[list[Mitigated], list[Mitigated]]:
    """One of those tried, at every budget of the run that it allows: on all examples (a percentile:
    not on those it was chosen on), and on those that had no part in the choice."""
    places, shown, confirmed = searched(halves, trial), [], []
    for before, found in _at_budgets(record, trial):
        shown.append(mitigated(before, trial, found, places, places))
        if halves.held_out:
            confirmed.append(mitigated(before, trial, found, places, halves.rest))
    return shown, confirmed


def _at_budgets(record: Record, trial: Trial) -> Iterator[tuple[Before, WorstCase]]:
    """A mitigation's worst cases in the order of the run's budgets, each with the run's own."""
    own = {policy.mean_bits: policy for policy in worst_cases(record)}
    found = {one.mean_bits: one for one in (trial.worst, *trial.further)}
    for mean in record.settings.budgets:
        if mean in found:
            yield Before(record, own[mean]), found[mean]


def _plan(record: Record, trial: Trial, observed: MitigationsObserved) -> QuantizationPlan:
    tuned = observed.tuned if trial.family == "fine-tuned" else None
    return QuantizationPlan(
        model=tuned.model if tuned else record.subject.model,
        weights_sha256=tuned.weights_sha256 if tuned else record.provenance.weights_sha256,
        float_points=trial.float_points,
        floors=trial.floors,
        scheme=trial.scheme,
        budget=[before.mean for before, _ in _at_budgets(record, trial)],
    )


def _trial_problems(before: Before, observed: MitigationsObserved, trial: Trial) -> Iterator[str]:
    record = before.record
    points = {point.name: point.quantized for point in record.subject.points}
    for name in (*trial.float_points, *trial.floors):
        if name not in points:
            yield f"{name!r} is no point's name"
    if not set(trial.floors.values()) <= set(record.settings.bits):
        yield f"its floors are {sorted(trial.floors.values())}, not of {record.settings.bits} bits"
    if not any(points[name] for name in points.keys() - set(trial.float_points)):
        yield "no point is left to quantize"
    clipped = trial.family == "percentile"
    if trial.family == "none" or clipped != (trial.on_half is not None):
        yield "a half that it was chosen on goes with a percentile, and with that alone"
    if trial.scheme != record.settings.scheme and not clipped:
        yield f"its scheme is {trial.scheme}, the run's {record.settings.scheme}"
    if trial.family == "fine-tuned" and observed.tuned is None:
        yield "no network was fine-tuned"
    yield from _worst_case_problems(before, trial, Halves(len(record.table), observed.half))


def _worst_case_problems(before: Before, trial: Trial, halves: Halves) -> Iterator[str]:
    record, further = before.record, [one.mean_bits for one in trial.further]
    means = {one.mean_bits or 0.0 for one in worst_cases(record)} & set(record.settings.budgets)
    if trial.worst.mean_bits != before.mean:
        yield f"its worst case is at {trial.worst.mean_bits} bits, the run's at {before.mean}"
    if len(set(further)) < len(further) or not set(further) <= means - {before.mean}:
        yield f"its further budgets are {further}, those of the run {sorted(means)}"
    whole = len(searched(halves, trial))
    sizes = [(one.predictions, whole) for one in (trial.worst, *trial.further)]
    sizes += [] if trial.on_half is None else [(trial.on_half, len(halves.half))]
    for found, n in sizes:
        if len(found) != n or ((found < NONE) | (found >= record.subject.n_classes)).any():
            yield f"its predictions are not {n} classes below {record.subject.n_classes}, or -1"


KIND = AnswerKind(MitigationsObserved, figures, problems, older)
