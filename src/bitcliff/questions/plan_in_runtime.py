"""A plan found in simulation, run in a runtime: only what gives something back there is for it."""

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from bitcliff.questions.halves import Places
from bitcliff.questions.prediction_checks import (
    prediction_problems,
    right_among,
    right_change,
)
from bitcliff.record import Record
from bitcliff.record.arrays import NONE, Ints
from bitcliff.record.part import Part
from bitcliff.record.plan import QuantizationPlan
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Rate

SIGNIFICANT = 0.05
"""Up to here a p-value tells a change from chance."""


class PlanRun(Part):
    """Observed: a runtime with the layers of some points in float, on every example.

    Attributes:
        policy: its condition in the record. points: by name. not_kept: those of them that it
            quantized all the same.
        left_out: why it was not run; else "".
        without, prediction: with everything quantized, measured anew, and with the plan; none where
            it was not run.
    """

    policy: str
    points: list[str]
    not_kept: list[str] = Field(default_factory=list)
    left_out: str = ""
    without: Ints | None = None
    prediction: Ints | None = None


class PlanThere(Part):
    """Figures of a plan in a runtime, on the examples that are to judge it.

    Attributes:
        policy, points, not_kept, left_out: as observed.
        float_rate, without, right: right predictions in float, in the runtime, and there with the
            plan. regained: from the second to the third; loss: from the first to the third. None
            where it was not run.
        recommended: it surely gives something back there.
    """

    policy: str
    points: list[str]
    not_kept: list[str]
    left_out: str
    float_rate: Rate | None = None
    without: Rate | None = None
    right: Rate | None = None
    regained: PairedChange | None = None
    loss: PairedChange | None = None
    recommended: bool = False

    @staticmethod
    def never_run(policy: str, points: list[str]) -> "PlanThere":
        """Of an older record."""
        why = "the Bitcliff that explained the run did not try it"
        return PlanThere(policy=policy, points=points, not_kept=[], left_out=why)


def in_runtimes(record: Record) -> list[str]:
    """The record's conditions in runtimes, each example by itself."""
    return [
        one.name for one in record.policies if one.runtime and (one.condition.batch_size or 1) == 1
    ]


def plan_there(record: Record, observed: PlanRun, places: Places) -> PlanThere:
    """Every figure of it, on the examples at `places`."""
    found = PlanThere(**observed.model_dump(include={"policy", "points", "not_kept", "left_out"}))
    if observed.without is None or observed.prediction is None:
        return found
    targets = float_targets(record)[places]
    in_float, without, right = (
        one[places] for one in (record.table.prediction, observed.without, observed.prediction)
    )
    regained = right_change(targets, without, right)
    return found.model_copy(
        update={
            "float_rate": right_among(targets, in_float),
            "without": right_among(targets, without),
            "right": right_among(targets, right),
            "regained": regained,
            "loss": right_change(targets, in_float, right),
            "recommended": surely_helps(regained),
        }
    )


def float_plan(record: Record, points: list[str]) -> QuantizationPlan:
    """These points in float, as a file."""
    return QuantizationPlan(
        model=record.subject.model,
        weights_sha256=record.provenance.weights_sha256,
        float_points=points,
    )


def surely_helps(regained: PairedChange, p_value: float | None = None) -> bool:
    """Beyond chance. `p_value`: instead of the change's own, where several were tested."""
    p_value = regained.p_value if p_value is None else p_value
    return (regained.difference_pp or 0.0) > 0 and p_value <= SIGNIFICANT


def surely_lost(whole: PairedChange) -> bool:
    """Right predictions, beyond chance."""
    return (whole.difference_pp or 0.0) < 0 and whole.p_value <= SIGNIFICANT


def float_targets(record: Record) -> Places:
    """(n,) -1 where float fails."""
    table = record.table
    return np.where(table.prediction == NONE, NONE, table.targets).astype(np.int32)


def plan_run_problems(record: Record, runs: Sequence[PlanRun]) -> Iterator[str]:
    """What contradicts the record: each is of one of its runtimes, whole or not run."""
    if [one.policy for one in runs] not in ([], in_runtimes(record)):
        yield "a plan was not run in the runtimes of the record, in their order"
    names = {point.name for point in record.subject.points}
    for one in runs:
        if not one.points or not names.issuperset((*one.points, *one.not_kept)):
            yield f"a plan run in {one.policy!r} is not of the network's points"
        both = (one.without, one.prediction)
        if any((found is None) != bool(one.left_out) for found in both):
            yield f"a plan was run in {one.policy!r} or left out there, one of the two"
        for found in both:
            if found is not None:
                yield from prediction_problems(record, found, len(record.table))
