"""The record of `bitcliff guard` on disk."""

from bitcliff.questions.guard.record import GuardFigures, GuardObserved
from bitcliff.questions.guard.statistics import figures, problems
from bitcliff.record.measurement import MeasurementKind

GUARD = MeasurementKind[GuardObserved, GuardFigures](
    command="guard",
    version="1.0",
    observed=GuardObserved,
    figures=figures,
    problems=problems,
)
