"""Records of schema 1.0 to 1.2 as 2.0 holds them: their outcomes; every figure is worked out anew.

Kinds of conditions were parts of names then. Here, for these files alone, they are read from them.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from bitcliff.record.arrays import classes
from bitcliff.record.outcomes import Outcome, outcomes_of_rows

OLDER_VERSIONS = ("1.0", "1.1", "1.2")

_NAME = re.compile(
    r"(uniform|random-static|random|co-trained|worst-static|worst-evolutionary|worst|best)"
    r"-(\d+(?:\.\d+)?)"
)
_OUTCOME_FIELDS = {"prediction", "margin", "failed_at", "bits", "draws", "repeats"}


def observed_of_1x(fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `Observed` takes, and the answers to each question as 1.x held them.

    Args:
        fields: the whole file as JSON.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it is no record of 1.x.
    """
    fields = _renamed(fields)
    subject = dict(fields["subject"])
    uncovered = subject.pop("coverage")["uncovered"]
    points = [{"site": point["name"].partition(":")[0], **point} for point in subject["points"]]
    rows, explanation = fields["examples"], fields.get("explanation") or {}
    answers = {key: one for key, one in explanation.items() if isinstance(one, dict)}
    answers |= {key: one for key in ("runtimes", "verification") if (one := fields.get(key))}
    observed = {
        "provenance": fields["provenance"],
        "subject": subject | {"points": points, "uncovered": uncovered},
        "settings": {**fields["settings"], "seed": fields["provenance"]["seed"]},
        "examples": _table(rows),
        "conditions": [_condition(policy, rows, fields) for policy in fields["policies"]],
        "explained": {key: explanation[key] for key in ("policies", "n_train", "commands")
                      if key in explanation} or None,
    }  # fmt: skip
    return observed, answers


def _table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    labels = [row["label"] for row in rows]
    return {
        "ids": [row["id"] for row in rows],
        "labels": None if None in labels else classes(labels),
        "prediction": classes([row["float_prediction"] for row in rows]),
        "margin": np.array([_number(row["float_margin"]) for row in rows], dtype=np.float64),
        "thumbnails": {row["id"]: row["thumbnail"] for row in rows if row.get("thumbnail")},
    }


def _condition(
    policy: Mapping[str, Any], rows: list[dict[str, Any]], fields: Mapping[str, Any]
) -> dict[str, Any]:
    name, place_of = policy["name"], {row["id"]: place for place, row in enumerate(rows)}
    by_place = {
        place: Outcome(**{key: row["outcomes"][name].get(key) for key in _OUTCOME_FIELDS})
        for place, row in enumerate(rows)
        if name in row["outcomes"]
    }
    return {
        "condition": {
            **_kind_and_parameters(policy, fields),
            "description": policy["description"],
            "mean_bits": policy["mean_bits"],
            "total_bits": policy["total_bits"],
            "policy_freedom_log2": policy["policy_freedom_log2"],
        },
        "effort": policy["effort"],
        "outcomes": dict(outcomes_of_rows(by_place)),
        "broken": [place_of[one] for one in policy.get("broken", [])],
    }


def _kind_and_parameters(policy: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    name = policy["name"]
    if (runtime := policy.get("runtime")) is not None:
        size = fields["settings"]["batch_size"] if name != runtime else 1
        versions = {one["name"]: one["version"] for one in fields["runtimes"]}
        return {
            "kind": "runtime",
            "runtime": runtime,
            "runtime_version": versions[runtime],
            "batch_size": size,
        }
    if name == "weights-only":
        return {"kind": name}
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"policy {name!r} is of no known kind")
    if found[1] == "uniform":
        return {"kind": "uniform", "width": int(found[2])}
    return {"kind": found[1]}


def _renamed(value: Any) -> Any:
    """The same with `friendliest-7` called `best-7` wherever a record names a policy."""
    if isinstance(value, dict):
        return {_renamed(key): _renamed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one) for one in value]
    if isinstance(value, str) and value.startswith("friendliest-"):
        return "best-" + value.removeprefix("friendliest-")
    return value


def _number(margin: float | None) -> float:
    return float("nan") if margin is None else float(margin)
