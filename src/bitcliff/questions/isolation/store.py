"""The record of `bitcliff isolate` on disk."""

from collections.abc import Mapping
from typing import Any

from bitcliff.questions.isolation.record import IsolationFigures, IsolationObserved
from bitcliff.questions.isolation.statistics import figures, problems
from bitcliff.record.measurement import MeasurementKind

_RENAMED = {
    "twin": "reference_runtime",
    "planted_flips": "positive_control",
    "twin_alone": "reference_alone",
    "twin_random": "reference_random",
    "picture": "image",
    "companion_picture": "companion_image",
}


def _observed_of_1x(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What 1.0 observed, under today's names, without its figures."""
    subject = dict(fields["subject"])
    uncovered = subject.pop("coverage")["uncovered"]
    points = [{"site": one["name"].partition(":")[0], **one} for one in subject["points"]]
    figures = {"accuracy_alone", "as_float_alone", "ours_changed", "situations", "victims"}
    return {
        **_renamed({key: one for key, one in fields.items() if key not in figures}),
        "subject": {**subject, "points": points, "uncovered": uncovered},
        "victims": [_victim(one) for one in fields["victims"]],
    }


def _victim(victim: Mapping[str, Any]) -> dict[str, Any]:
    checked = dict(victim["checked"])
    reference = checked.pop("twin")
    return {
        **_renamed(victim),
        "baseline": _renamed(victim["baseline"]),
        "checked": {**checked, "reference": reference},
    }


def _renamed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(key, key): one for key, one in fields.items()}


ISOLATION = MeasurementKind[IsolationObserved, IsolationFigures](
    command="isolate",
    version="3.0",
    observed=IsolationObserved,
    figures=figures,
    problems=problems,
    # Until 3.0 it was `batchmates`, without proofs; the figures of 2.0 are by rules of before.
    older={"2.1": dict, "2.0": dict, "1.0": _observed_of_1x},
    formerly="batchmates",
)
