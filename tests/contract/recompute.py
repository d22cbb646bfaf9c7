"""Every figure of a record, worked out again from its outcomes: JSON in, plain numbers out.

Independent of Bitcliff's code: arrays are unpacked with zlib and numpy; intervals, tests and
corrections are statsmodels' and scipy's.
"""

import base64
import zlib
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from tests.multitest import holm_by_statsmodels

Json = dict[str, Any]

_TYPES = {"int32": "<i4", "uint8": "|u1", "float32": "<f4", "float64": "<f8"}


def timeless(record: Json) -> Json:
    """Without what another run of the same command may differ in: the time, and the checkout."""
    gone = ("started", "finished", "revision")
    provenance = {key: value for key, value in record["provenance"].items() if key not in gone}
    return {**_without_times(record), "provenance": provenance}


def _without_times(node: Any) -> Any:
    if isinstance(node, dict):
        timed = ("speed", "faster")
        return {key: _without_times(one) for key, one in node.items() if key not in timed}
    return [_without_times(one) for one in node] if isinstance(node, list) else node


def approximately(expected: Any) -> Any:
    """pytest.approx for nested values."""
    if isinstance(expected, float):
        return pytest.approx(expected, rel=1e-9, abs=1e-12)
    if isinstance(expected, dict):
        return {key: approximately(part) for key, part in expected.items()}
    if isinstance(expected, list):
        return [approximately(part) for part in expected]
    return expected


def opened(record: Json) -> Json:
    """A record as its readers see it: the examples row by row, and the figures beside them."""
    return {**record, **record["figures"], "examples": _rows(record)}


def array(packed: Json) -> Any:
    """A packed array as nested lists."""
    data = zlib.decompress(base64.b64decode(packed["zlib"]))
    return np.frombuffer(data, dtype=_TYPES[packed["dtype"]]).reshape(packed["shape"]).tolist()


def _rows(record: Json) -> list[Json]:
    table = record["examples"]
    n = len(table["ids"])
    labels = [None] * n if table["labels"] is None else array(table["labels"])
    margins, predictions = array(table["margin"]), array(table["prediction"])
    rows = [
        {
            "id": table["ids"][place],
            "label": labels[place],
            "float_prediction": _known(predictions[place]),
            "float_margin": _number(margins[place]),
            "thumbnail": table["thumbnails"].get(table["ids"][place]),
            "outcomes": {},
        }
        for place in range(n)
    ]
    for condition, name in zip(record["conditions"], names(record), strict=True):
        for place, outcome in _outcomes(condition["outcomes"], n).items():
            rows[place]["outcomes"][name] = outcome
    return rows


def names(record: Json) -> list[str]:
    """What the conditions are called, in their order."""
    return [policy["name"] for policy in record["figures"]["policies"]]


def _outcomes(found: Json, n: int) -> dict[int, Json]:
    places = list(range(n)) if found["places"] is None else array(found["places"])
    predictions, margins = array(found["prediction"]), array(found["margin"])
    bits, draws, repeats = (
        None if found[key] is None else array(found[key]) for key in ("bits", "draws", "repeats")
    )
    if bits is not None and len(bits) == 1:
        bits = bits * len(places)
    return {
        place: {
            "prediction": _known(predictions[row]),
            "margin": _number(margins[row]),
            "failed_at": found["failed_at"].get(str(row)),
            "bits": None if bits is None else bits[row],
            "draws": None if draws is None else [_known(draw[row]) for draw in draws],
            "repeats": None if repeats is None else [_known(one[row]) for one in repeats],
        }
        for row, place in enumerate(places)
    }


def _known(prediction: int) -> int | None:
    return None if prediction == -1 else prediction


def _number(margin: float) -> float | None:
    return None if np.isnan(margin) else margin


def rate(k: int, n: int) -> Json:
    if n == 0:
        return {"k": k, "n": 0, "value": None, "low": None, "high": None}
    low, high = proportion_confint(k, n, alpha=0.05, method="beta")
    low, high = (0.0 if k == 0 else float(low)), (1.0 if k == n else float(high))
    return {"k": k, "n": n, "value": k / n, "low": low, "high": high}


def float_figures(record: Json) -> Json:
    rows = record["examples"]
    whole = [row for row in rows if row["float_prediction"] is not None]
    labelled = record["subject"]["labelled"]
    right = [(row["label"], row["label"] == row["float_prediction"]) for row in whole]
    return {
        "accuracy": rate(sum(hit for _, hit in right), len(right)) if labelled else None,
        "worst_class": worst_class(right) if labelled else None,
        "numeric_failures": rate(len(rows) - len(whole), len(rows)),
    }


def policy_figures(record: Json, name: str) -> Json:
    """All that follows from the examples, but for the paired interval."""
    labelled = record["subject"]["labelled"]
    mine = [(row, row["outcomes"][name]) for row in record["examples"] if name in row["outcomes"]]
    failed = sum(out["failed_at"] is not None for _, out in mine)
    answered = [
        (row["label"], row["float_prediction"], out["prediction"])
        for row, out in mine
        if row["float_prediction"] is not None and out["prediction"] is not None
    ]
    n = len(answered)
    flipped = [(y, f, q) for y, f, q in answered if f != q]
    lost = sum(f == y for y, f, _ in flipped)
    gained = sum(q == y for y, _, q in flipped)
    right = [(y, q == y) for y, _, q in answered]
    return {
        "accuracy": rate(sum(hit for _, hit in right), n) if labelled else None,
        "agreement": rate(n - len(flipped), n),
        "flips": {
            "all": rate(len(flipped), n),
            "lost": rate(lost, n) if labelled else None,
            "gained": rate(gained, n) if labelled else None,
            "upper_95": float(beta.ppf(0.95, 1, n)) if n and not flipped else None,
        },
        "worst_class": worst_class(right) if labelled else None,
        "numeric_failures": rate(failed, len(mine)),
        "distribution": distribution(mine, labelled),
        "repeated": repeated(mine),
    }


def changes(record: Json) -> dict[str, Json | None]:
    """Of each condition, quantized against float, but for the paired interval."""
    found = {name: _change(policy_figures(record, name)["flips"]) for name in names(record)}
    tested = [name for name, one in found.items() if one is not None]
    p_values = [one["p_value"] for one in found.values() if one is not None]
    adjusted = holm_by_statsmodels(p_values) if tested else []
    for name, p in zip(tested, adjusted, strict=True):
        found[name] = {**(found[name] or {}), "p_holm": float(p)}
    return found


def _change(flips: Json) -> Json | None:
    n = flips["all"]["n"]
    if flips["lost"] is None or n == 0:
        return None
    lost, gained = flips["lost"]["k"], flips["gained"]["k"]
    return {
        "n": n,
        "lost": lost,
        "gained": gained,
        "difference_pp": 100 * (gained - lost) / n,
        "p_value": float(mcnemar([[0, lost], [gained, 0]], exact=True).pvalue),
    }


def worst_class(right: list[tuple[int, bool]]) -> Json | None:
    by_label: dict[int, list[bool]] = defaultdict(list)
    for label, hit in right:
        by_label[label].append(hit)
    rates = {label: rate(sum(hits), len(hits)) for label, hits in by_label.items()}
    order = sorted(rates, key=lambda label: (rates[label]["value"], -rates[label]["n"], label))
    return {"label": order[0], "accuracy": rates[order[0]]} if order else None


def distribution(mine: list[tuple[Json, Json]], labelled: bool) -> Json | None:
    if not mine or mine[0][1]["draws"] is None:
        return None
    count = len(mine[0][1]["draws"])
    accuracy, agreement, scores = [], [], []
    for draw in range(count):
        answers = [(row, out["draws"][draw]) for row, out in mine]
        whole = [
            (row, q) for row, q in answers if q is not None and row["float_prediction"] is not None
        ]
        agreement.append(rate(sum(q == row["float_prediction"] for row, q in whole), len(whole)))
        accuracy.append(rate(sum(q == row["label"] for row, q in whole), len(whole)))
        key = "label" if labelled else "float_prediction"
        scores.append(sum(q is not None and q == row[key] for row, q in answers))
    middle = sorted(scores)[(count - 1) // 2]
    return {
        "draws": count,
        "median_draw": scores.index(middle),
        "accuracy": accuracy if labelled else None,
        "agreement": agreement,
    }


def repeated(mine: list[tuple[Json, Json]]) -> Json | None:
    whole = [
        (row["float_prediction"], out["prediction"], out["repeats"])
        for row, out in mine
        if row["float_prediction"] is not None and out["prediction"] is not None
    ]
    if not whole or any(repeats is None for _, _, repeats in whole):
        return None
    flipped = [(f, repeats) for f, q, repeats in whole if f != q]
    stay = sum(all(q is not None and q != f for q in repeats) for f, repeats in flipped)
    return rate(stay, len(flipped))


def at_risk(record: Json) -> list[str]:
    worst: dict[str, float] = {}
    adversaries = {p["name"] for p in record["policies"] if p["threat"] == "allocation"}
    for row in record["examples"]:
        found = [
            out["margin"]
            for name, out in row["outcomes"].items()
            if name in adversaries
            and row["float_prediction"] is not None
            and out["prediction"] not in (None, row["float_prediction"])
        ]
        if found:
            worst[row["id"]] = min(found)
    return sorted(worst, key=lambda name: (worst[name], name))
