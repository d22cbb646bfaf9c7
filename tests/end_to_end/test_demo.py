"""The finding that the first screen must make plain, on the unmodified network."""

import json
from pathlib import Path

import pytest
import torch

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import prepare
from bitcliff.audit.schedule import Schedule
from tests.contract import recompute
from tests.end_to_end.commands import bitcliff


def test_a_short_search_finds_the_cliff() -> None:
    """Eight pictures, 7 bits a layer: spent evenly nothing is lost, spent badly four of seven."""
    subject = load_model("efficientnet-lite0")
    examples = load_examples("imagenet-20", subject=subject, limit=8, seed=0)
    assert examples.labels is not None
    settings = AssessSettings(
        budgets=(7.0,), uniform=(7,), margin="label", rounds=2, exchanges=0, evaluations=0, draws=1
    )
    schedule = Schedule(prepare(subject, examples, settings))
    steps = {step.name: step for step in schedule.steps()}
    right = {}
    for name in ("uniform-7", "worst-7"):
        outcomes = schedule.measure(steps[name]).outcomes
        assert outcomes.bits is not None
        assert set(outcomes.bits.sum(1).tolist()) == {7 * 49}
        right[name] = int((outcomes.prediction == examples.labels.numpy()).sum())
    with torch.no_grad():
        plain = subject.module(examples.inputs).argmax(1) == examples.labels
    assert right["uniform-7"] == int(plain.sum()) == 7
    assert right["worst-7"] <= 4


# It takes minutes.
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
