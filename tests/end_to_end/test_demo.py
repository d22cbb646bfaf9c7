"""The finding that the first screen must make plain, on the unmodified network. Takes minutes."""

import json
from pathlib import Path

import pytest

from tests.contract import recompute
from tests.end_to_end.commands import bitcliff


@pytest.mark.slow
def test_the_built_in_network_falls_off_its_cliff(tmp_path: Path) -> None:
    done = bitcliff(tmp_path, "assess", "--budget", "7", "--uniform", "7:8", "--out", "demo")
    assert done.returncode == 0, done.stderr
    record = recompute.opened(json.loads((tmp_path / "demo" / "record.json").read_text()))
    policies = {policy["name"]: policy for policy in record["policies"]}
    assert record["coverage"]["quantized"] == 49
    assert record["float"]["accuracy"]["k"] == 18
    for name in ("uniform-7", "uniform-8"):
        assert policies[name]["accuracy"]["k"] == 18
    draws = sorted(rate["k"] for rate in policies["random-7"]["distribution"]["accuracy"])
    assert draws[len(draws) // 2] >= 15
    assert policies["worst-7"]["flips"]["lost"]["k"] >= 8
    assert policies["worst-7"]["change"]["p_holm"] < 0.05
    for name in policies:
        found = recompute.policy_figures(record, name)
        assert policies[name]["flips"]["all"]["k"] == found["flips"]["all"]["k"]
    html = (tmp_path / "demo" / "report.html").read_text()
    assert "18 of 20" in html
