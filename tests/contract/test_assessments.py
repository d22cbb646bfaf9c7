"""One contract for everything an assessment yields, over a table of assessments."""

import functools
import json
from typing import Any

import pytest

from bitcliff.budget import count_allocations
from bitcliff.record import read_record, record_json, write_record
from bitcliff.stats import paired_difference
from bitcliff.verdict import judge
from tests.contract import recompute
from tests.contract.recompute import approximately
from tests.contract.subjects import CASES, Case

Json = dict[str, Any]
THREATS = {
    "weights-only": "none",
    "uniform": "none",
    "random": "none",
    "random-static": "none",
    "worst": "allocation",
    "worst-static": "allocation",
    "worst-evolutionary": "allocation",
    "best": "none",
}


@functools.cache
def case_of(name: str) -> Case:
    return CASES[name]()


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


@pytest.fixture
def record(case: Case) -> Json:
    return recompute.opened(json.loads(record_json(case.record)))


def kind(policy: Json) -> str:
    return str(policy["condition"]["kind"])


def rates_in(value: Any) -> list[Json]:
    if isinstance(value, dict):
        mine = [value] if {"k", "n"} <= value.keys() else []
        return mine + [rate for part in value.values() for rate in rates_in(part)]
    if isinstance(value, list):
        return [rate for part in value for rate in rates_in(part)]
    return []


def test_the_table_has_what_it_is_for(case: Case, record: Json) -> None:
    """Flips, and failures that only rounding brings about; else the contract would say little."""
    flips = [p["flips"]["all"]["k"] for p in record["policies"]]
    assert max(flips) >= 2 or len(record["examples"]) < 10
    rows = record["examples"]
    only_rounded = [
        row["id"]
        for row in rows
        for out in row["outcomes"].values()
        if row["float_prediction"] is not None and out["failed_at"] is not None
    ]
    in_float = [row["id"] for row in rows if row["float_prediction"] is None]
    assert bool(in_float) == case.failing
    assert bool(only_rounded) == (case.failing and len(rows) > 6)


def test_every_rate_is_k_of_n_with_its_exact_interval(record: Json) -> None:
    found = rates_in([record["float"], record["policies"]])
    assert len(found) > 20
    for rate in found:
        assert rate.keys() == {"k", "n", "value", "low", "high"}
        assert rate == approximately(recompute.rate(rate["k"], rate["n"]))


def test_every_figure_follows_from_the_examples(record: Json) -> None:
    expected = recompute.float_figures(record)
    assert {key: record["float"][key] for key in expected} == approximately(expected)
    changes = recompute.changes(record)
    for policy in record["policies"]:
        figures = recompute.policy_figures(record, policy["name"])
        assert {key: policy[key] for key in figures} == approximately(figures), policy["name"]
        change = policy["change"] and {
            key: value
            for key, value in policy["change"].items()
            if key not in ("low_pp", "high_pp")
        }
        assert change == approximately(changes[policy["name"]])
    assert record["at_risk"] == recompute.at_risk(record)


def test_the_paired_interval_is_of_the_flips(record: Json) -> None:
    for policy in record["policies"]:
        flips, change = policy["flips"], policy["change"]
        if flips["lost"] is None or flips["all"]["n"] == 0:
            assert change is None
            continue
        n, lost, gained = flips["all"]["n"], flips["lost"]["k"], flips["gained"]["k"]
        _, low, high = paired_difference(n, lost, gained)
        assert [change["low_pp"], change["high_pp"]] == approximately([100 * low, 100 * high])
        assert change["low_pp"] <= change["difference_pp"] <= change["high_pp"]


def test_names_and_threats_are_as_documented(record: Json) -> None:
    means = [f"{mean:g}" for mean in record["settings"]["budgets"]]
    names = [policy["name"] for policy in record["policies"]]
    kinds = [
        "random",
        "random-static",
        "worst",
        "worst-static",
        "worst-evolutionary",
        "best",
    ]
    if record["subject"]["n_examples"] < 4:
        kinds.remove("worst-static")
    expected = ["weights-only", *(f"uniform-{b}" for b in record["settings"]["uniform"])]
    assert names == expected + [f"{kind}-{mean}" for mean in means for kind in kinds]
    for policy in record["policies"]:
        assert policy["threat"] == THREATS[kind(policy)]
        if policy["condition"]["mean_bits"] is not None:
            assert policy["name"].endswith(f"-{policy['condition']['mean_bits']:g}")


def test_every_example_spends_exactly_the_total(record: Json) -> None:
    points = record["coverage"]["quantized"]
    bits = set(record["settings"]["bits"])
    for policy in record["policies"]:
        total, mean = policy["condition"]["total_bits"], policy["condition"]["mean_bits"]
        outcomes = [r["outcomes"].get(policy["name"]) for r in record["examples"]]
        for out in filter(None, outcomes):
            if policy["name"] == "weights-only":
                assert out["bits"] is None
                continue
            assert (len(out["bits"]), sum(out["bits"])) == (points, total)
            assert kind(policy) == "uniform" or set(out["bits"]) <= bits
        if total is not None:
            assert abs(total - mean * points) <= 0.5


def test_policy_freedom_counts_the_allocations(record: Json) -> None:
    points = record["coverage"]["quantized"]
    for policy in record["policies"]:
        freedom, total = (policy["condition"][key] for key in ("policy_freedom_log2", "total_bits"))
        if policy["name"] == "weights-only":
            assert freedom is None
        elif kind(policy) == "uniform":
            assert freedom == 0
        else:
            count = count_allocations(points, record["settings"]["bits"], total)
            assert 2**freedom == pytest.approx(count)


def test_shared_allocations_are_told_and_others_are_not(record: Json) -> None:
    for policy in record["policies"]:
        rows = [
            r["outcomes"][policy["name"]]["bits"]
            for r in record["examples"]
            if policy["name"] in r["outcomes"]
        ]
        shared = rows[0] if all(row == rows[0] for row in rows) else None
        assert policy["allocation"] == shared
        if kind(policy) in {"uniform", "random-static", "worst-static"}:
            assert shared is not None


def test_failures_have_a_place_and_no_prediction(case: Case, record: Json) -> None:
    outcomes = [out for row in record["examples"] for out in row["outcomes"].values()]
    for out in outcomes:
        failed = out["failed_at"] is not None
        assert (out["prediction"] is None) == failed
        assert (out["margin"] is None) == failed
    for row in record["examples"]:
        assert (row["float_prediction"] is None) == (row["float_margin"] is None)
    assert any(out["failed_at"] for out in outcomes) == case.failing


def reference_of(record: Json) -> str:
    return "label" if record["settings"]["margin"] == "label" else "float_prediction"


def test_labels_are_what_the_search_pushes_away_from(case: Case, record: Json) -> None:
    explicit = case is case_of("by_prediction")
    assert (record["settings"]["margin"] == "label") == (case.labelled and not explicit)


def test_what_broke_on_the_way_is_named(case: Case, record: Json) -> None:
    ids = {row["id"] for row in record["examples"]}
    for policy in record["policies"]:
        assert set(policy["broken"]) <= ids
        shown = {
            row["id"]
            for row in record["examples"]
            if row["outcomes"].get(policy["name"], {}).get("failed_at")
        }
        assert shown <= set(policy["broken"])
    assert any(policy["broken"] for policy in record["policies"]) == case.failing


def test_margins_and_flips_agree(case: Case, record: Json) -> None:
    for row in record["examples"]:
        reference = row[reference_of(record)]
        for out in row["outcomes"].values():
            if out["prediction"] is None or row["float_prediction"] is None:
                continue
            if out["prediction"] == reference:
                assert out["margin"] >= 0
            else:
                assert out["margin"] <= 0


def test_the_worst_found_flips_all_that_any_random_draw_flips(case: Case, record: Json) -> None:
    for mean in record["settings"]["budgets"]:
        for row in record["examples"]:
            outcomes = row["outcomes"]
            reference = row[reference_of(record)]
            draws = [
                *outcomes[f"random-{mean:g}"]["draws"],
                *outcomes[f"random-static-{mean:g}"]["draws"],
            ]
            worst = outcomes[f"worst-{mean:g}"]
            if row["float_prediction"] is None or worst["prediction"] is None:
                continue
            if any(draw not in (None, reference) for draw in draws):
                assert worst["prediction"] != reference


def test_worst_even_and_best_are_in_order(record: Json) -> None:
    for policy in record["policies"]:
        if kind(policy) != "worst":
            continue
        even = f"uniform-{policy['condition']['mean_bits']:g}"
        best = policy["name"].replace("worst", "best")
        compared = 0
        for row in record["examples"]:
            margins = [
                row["outcomes"].get(name, {}).get("margin") for name in (policy["name"], even, best)
            ]
            if None not in margins:
                assert margins == sorted(margins)
                compared += 1
        assert compared or even not in {p["name"] for p in record["policies"]}


def test_worst_static_is_reported_on_the_half_it_was_not_chosen_on(record: Json) -> None:
    n = record["subject"]["n_examples"]
    halves = []
    for policy in record["policies"]:
        if kind(policy) == "worst-static":
            shown = {r["id"] for r in record["examples"] if policy["name"] in r["outcomes"]}
            chosen = int(policy["effort"]["method"].split("chosen on ")[1].split()[0])
            assert (len(shown), chosen) == (n - n // 2, n // 2)
            assert policy["numeric_failures"]["n"] == len(shown)
            halves.append(shown)
    assert all(half == halves[0] for half in halves)


def test_unlabelled_records_speak_of_agreement_alone(case: Case, record: Json) -> None:
    assert record["subject"]["labelled"] == case.labelled
    fields = ("accuracy", "worst_class")
    assert all((record["float"][field] is None) != case.labelled for field in fields)
    for policy in record["policies"]:
        answered = policy["agreement"]["n"] > 0
        assert (policy["accuracy"] is None) != case.labelled
        for field in ("change", "worst_class"):
            assert (policy[field] is not None) == (case.labelled and answered), field


def test_effort_is_stated(record: Json) -> None:
    for policy in record["policies"]:
        effort = policy["effort"]
        assert effort["forward_passes"] >= policy["numeric_failures"]["n"]
        assert effort["method"]
        gradient = kind(policy) in {"worst", "worst-static", "best"}
        assert (effort["backward_passes"] > 0) <= gradient


def test_it_survives_storage_and_can_be_judged(case: Case, tmp_path: Any) -> None:
    write_record(case.record, tmp_path)
    again = read_record(tmp_path)
    assert again == case.record
    assert judge(again, 2.0) == judge(case.record, 2.0)
