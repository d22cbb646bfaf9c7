"""The record of `bitcliff provoke --universal` on disk."""

from bitcliff.questions.provocation.universal.record import UniversalFigures, UniversalObserved
from bitcliff.questions.provocation.universal.statistics import figures, problems
from bitcliff.record.measurement import MeasurementKind

UNIVERSAL = MeasurementKind[UniversalObserved, UniversalFigures](
    command="provoke --universal",
    version="1.0",
    observed=UniversalObserved,
    figures=figures,
    problems=problems,
)
