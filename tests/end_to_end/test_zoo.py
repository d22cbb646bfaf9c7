"""The positive control: `assess` finds the planted brittle network, and spares the robust one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.commands import bitcliff

# Between what the two lose; the figures are in the README.
_MOST_POINTS = "30"
_EFFORT = ["--rounds", "6", "--exchanges", "10", "--evaluations", "16", "--draws", "5"]


def assess(folder: Path, name: str, budgets: str) -> tuple[int, dict[str, dict[str, Any]]]:
    arguments = [name, "--out", name, "--examples", "120", "--max-drop", _MOST_POINTS]
    spent = ["--budget", budgets, "--uniform", "5"]
    done = bitcliff(folder, "assess", *arguments, *spent, *_EFFORT, "--threads", "1")
    assert done.returncode in (0, 1), done.stderr
    figures = json.loads((folder / name / "record.json").read_text())["figures"]
    return done.returncode, {policy["name"]: policy for policy in figures["policies"]}


def drop(policy: dict[str, Any]) -> float:
    """Percentage points of accuracy lost."""
    return -float(policy["change"]["difference_pp"])


def test_the_brittle_network_is_found_brittle(tmp_path: Path) -> None:
    code, policies = assess(tmp_path, "brittle-digits", "5.5")
    assert code == 1
    own, worst = policies["co-trained-5.5"], policies["worst-5.5"]
    assert (own["threat"], worst["threat"]) == ("co-trained", "allocation")
    assert drop(own) > 30
    # The search knows nothing of the planted policy, and must find as much.
    assert drop(worst) >= drop(own)
    assert drop(policies["random-5.5"]) < drop(own)
    assert drop(policies["worst-evolutionary-5.5"]) > 30


@pytest.mark.parametrize(
    ("name", "budgets"),
    [pytest.param("robust-digits", "4,5.5", marks=pytest.mark.slow), ("base-digits", "4")],
)
def test_the_others_are_not(tmp_path: Path, name: str, budgets: str) -> None:
    code, policies = assess(tmp_path, name, budgets)
    assert code == 0
    assert ("co-trained-5.5" in policies) == (name == "robust-digits")
    if name == "robust-digits":
        assert abs(drop(policies["co-trained-5.5"])) < 3


def test_a_policy_of_another_network_is_refused(tmp_path: Path) -> None:
    from bitcliff.zoo.shipped import SHIPPED

    policy = str(SHIPPED["brittle-digits"].policy)
    done = bitcliff(
        tmp_path, "assess", "brittle-digits", "--policy", policy, "--exclude", "fc", "--out", "r"
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") <= 2
    assert "it is for 20 points named otherwise than the 19 that are quantized" in done.stderr
    done = bitcliff(tmp_path, "assess", "base-digits", "--policy", policy, "--out", "r")
    assert done.returncode == 2
    assert "it was not trained together with these weights" in done.stderr
    assert not (tmp_path / "r").exists()
    done = bitcliff(tmp_path, "assess", "base-digits", "--policy", "no.safetensors", "--out", "r")
    assert done.returncode == 2
    assert "--policy no.safetensors: no such file" in done.stderr
