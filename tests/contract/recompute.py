"""Every figure of a record, worked out again from its examples: JSON in, plain numbers out.

Independent of Bitcliff's code: intervals, tests and corrections are statsmodels' and scipy's.
"""

from collections import defaultdict
from typing import Any

from scipy.stats import beta
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

Json = dict[str, Any]


def timeless(record: Json) -> Json:
    """Without what another run of the same command may differ in: the time, and the checkout."""
    gone = ("started", "finished", "revision")
    provenance = {key: value for key, value in record["provenance"].items() if key not in gone}
    runtimes = [{key: one[key] for key in one if key != "speed"} for one in record["runtimes"]]
    return {**record, "provenance": provenance, "runtimes": runtimes}


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
        "delta_pp": 100 * (gained - lost) / n if labelled and n else None,
        "p_value": exact_mcnemar(lost, gained) if labelled and n else None,
        "worst_class": worst_class(right) if labelled else None,
        "numeric_failures": rate(failed, len(mine)),
        "distribution": distribution(mine, labelled),
        "repeated": repeated(mine),
    }


def exact_mcnemar(lost: int, gained: int) -> float:
    return float(mcnemar([[0, lost], [gained, 0]], exact=True).pvalue)


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


def holm(record: Json) -> dict[str, float]:
    tested = [p for p in record["policies"] if p["p_value"] is not None]
    if not tested:
        return {}
    _, adjusted, _, _ = multipletests([p["p_value"] for p in tested], method="holm")
    return {p["name"]: float(value) for p, value in zip(tested, adjusted, strict=True)}


def at_risk(record: Json) -> list[str]:
    worst: dict[str, float] = {}
    adversaries = {p["name"] for p in record["policies"] if p["threat"] == "policy-only"}
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
