"""The record of `bitcliff provoke` on disk."""

from bitcliff.questions.provocation.record import ProvocationFigures, ProvocationObserved
from bitcliff.questions.provocation.statistics import figures, problems
from bitcliff.record.measurement import MeasurementKind

PROVOKE = MeasurementKind[ProvocationObserved, ProvocationFigures](
    command="provoke",
    version="1.0",
    observed=ProvocationObserved,
    figures=figures,
    problems=problems,
)
