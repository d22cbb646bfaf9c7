"""How far each simulation is from the runtime, from what both predict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.questions.prediction_checks import (
    both_decided,
    changed_rate,
    margin_problems,
    prediction_problems,
    right_rate,
)
from bitcliff.questions.runtimes.record import (
    OtherDecisions,
    OtherProcessor,
    Rung,
    RungName,
    RuntimeFigures,
    RuntimeObserved,
    Runtimes,
    RuntimesObserved,
)
from bitcliff.questions.timing import times_as_long
from bitcliff.record import AnswerKind, PolicyResult, Record
from bitcliff.record.problems import twice

# No network's logits lie so far apart; what does has no mean.
_BEYOND_ANY = 1e300

Classes = npt.NDArray[np.int32]


@dataclass(frozen=True)
class _Step:
    """One variant: (n,) predictions and margins, in the order of the data.

    `in_float`: what float predicts in like batches.
    """

    name: RungName
    words: str
    prediction: Classes
    margin: npt.NDArray[np.float64]
    in_float: Classes


def figures(record: Record, observed: RuntimesObserved) -> Runtimes:
    """Every figure of every runtime."""
    return Runtimes(runtimes=[_figures(record, one) for one in observed.runtimes])


def _figures(record: Record, observed: RuntimeObserved) -> RuntimeFigures:
    speed = observed.speed
    alone, *batch = conditions_in(record, observed.name)
    return RuntimeFigures(
        name=observed.name,
        faster=times_as_long(speed.in_float.median, speed.quantized.median),
        **(_rungs(record, observed) if observed.rungs else {"rungs": []}),
        other_processor=_elsewhere(record, alone, observed.other_processor),
        other_in_batches=_elsewhere(record, batch[0], observed.other_in_batches) if batch else None,
    )


def _elsewhere(
    record: Record, condition: PolicyResult, there: OtherProcessor | None
) -> OtherDecisions | None:
    if there is None:
        return None
    table = record.table
    here = record.outcomes[condition.name].spread(len(table))
    other = both_decided(here, there.prediction) & (here != there.prediction)
    return OtherDecisions(
        changed=changed_rate(here, there.prediction),
        examples=[table.ids[place] for place in np.flatnonzero(other)],
        right_here=right_rate(table.labels, here),
        right_there=right_rate(table.labels, there.prediction),
    )


def _rungs(record: Record, observed: RuntimeObserved) -> dict[str, list[Rung]]:
    """The last of the rungs are the runtime's own conditions: by itself, and in batches."""
    usual = record.table.prediction
    simulated, instead = (
        [_Step(one.name, one.words, one.prediction, one.margin, usual) for one in some]
        for some in (observed.rungs, observed.instead)
    )
    target, *batch = (
        _measured(record, policy, observed.version)
        for policy in conditions_in(record, observed.name)
    )
    steps = [*simulated, target, *batch]
    above: Sequence[_Step | None] = [None, *steps]
    return {
        "rungs": [_rung(*pair, target) for pair in zip(steps, above, strict=False)],
        "instead": [_rung(one, simulated[-1], target) for one in instead],
    }


def _rung(one: _Step, before: _Step | None, target: _Step) -> Rung:
    return Rung(
        name=one.name,
        words=one.words,
        changed=None if before is None else changed_rate(before.prediction, one.prediction),
        from_float=changed_rate(one.in_float, one.prediction),
        from_runtime=changed_rate(target.prediction, one.prediction),
        margin_gap=_gap(target.margin, one.margin),
    )


def conditions_in(record: Record, runtime: str) -> list[PolicyResult]:
    """Those that were measured in it, the one with each example by itself first."""
    found = [policy for policy in record.policies if policy.runtime == runtime]
    return sorted(found, key=lambda policy: policy.condition.batch_size or 1)


def _measured(record: Record, policy: PolicyResult, version: str) -> _Step:
    outcomes, size = record.outcomes[policy.name], policy.condition.batch_size or 1
    margin = np.full(len(record.table), np.nan)
    margin[outcomes.index] = outcomes.margin
    prediction, in_float = outcomes.spread(len(record.table)), record.table.before(outcomes)
    if size > 1:
        return _Step("batch", f"the same in batches of {size}", prediction, margin, in_float)
    words = f"{version} itself, each example by itself"
    return _Step("runtime", words, prediction, margin, in_float)


def _gap(target: npt.NDArray[np.float64], margin: npt.NDArray[np.float64]) -> float | None:
    """The median distance of the margins, where both have one."""
    with np.errstate(over="ignore"):
        gaps = np.abs(margin - target)
    gaps = gaps[gaps < _BEYOND_ANY]  # nor where one is NaN
    return float(np.median(gaps)) if len(gaps) else None


def problems(record: Record, observed: RuntimesObserved) -> Iterator[str]:
    """What contradicts the record."""
    names = [one.name for one in observed.runtimes]
    yield from twice(names, "runtime")
    for policy in record.policies:
        if policy.runtime is not None and policy.runtime not in names:
            yield (
                f"policy {policy.name!r} was measured in {policy.runtime!r}, which is not in the "
                "record's runtimes"
            )
    for one in observed.runtimes:
        for problem in _runtime_problems(record, one):
            yield f"{one.name!r} {problem}"


def _runtime_problems(record: Record, observed: RuntimeObserved) -> Iterator[str]:
    n, conditions = len(record.table), conditions_in(record, observed.name)
    sizes = [policy.condition.batch_size or 1 for policy in conditions]
    if sizes[:1] != [1] or sizes[1:2] == [1] or len(sizes) > 2:
        yield "was not measured with each example by itself, and once in batches at most"
    if any(policy.condition.runtime_version != observed.version for policy in conditions):
        yield f"was measured in another version than {observed.version!r}"
    if any(len(record.outcomes[policy.name]) != n for policy in conditions):
        yield "was not measured on every example"
    rungs = [rung.name for rung in observed.rungs]
    yield from twice(rungs, "rung")
    if rungs and rungs[0] != "simulation":
        yield f"has an ablation that begins with {rungs[0]}"
    if observed.instead and not rungs:
        yield "has other weights than those of a simulation that is not there"
    yield from twice([rung.name for rung in observed.instead], "rung")
    for rung in (*observed.rungs, *observed.instead):
        yield from prediction_problems(record, rung.prediction, n)
        yield from margin_problems(rung.prediction, rung.margin)
    for there in (observed.other_processor, observed.other_in_batches):
        if there is not None:
            yield from _elsewhere_problems(record, there, n)
    if observed.other_in_batches is not None and len(conditions) < 2:
        yield "was not measured in batches, but its decisions there were forecast"


def _elsewhere_problems(record: Record, there: OtherProcessor, n: int) -> Iterator[str]:
    yield from prediction_problems(record, there.prediction, n)
    yield from margin_problems(there.prediction, there.margin)
    if not there.alike <= there.checked <= n:
        yield f"has {there.alike} of {there.checked} examples alike, of {n}"


_NOT_KEPT = "the ablation: records of schema 1.x hold its figures alone; assess again"


def older(_record: Record, answer: Any) -> dict[str, Any] | None:
    """Of 1.x: no rung, as predictions were not kept; `left_out` says so."""
    return {"runtimes": [_older(one) for one in answer]}


def _older(runtime: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in runtime.items() if name != "ladder"}
    lost = [_NOT_KEPT] if runtime["ladder"] else []
    return {**kept, "rungs": [], "left_out": [*runtime["left_out"], *lost]}


KIND = AnswerKind(RuntimesObserved, figures, problems, older)
