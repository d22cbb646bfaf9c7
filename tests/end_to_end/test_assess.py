"""`bitcliff assess` on small real things, and what comes after it."""

import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bitcliff.record import SCHEMA_VERSION
from tests.contract import recompute
from tests.end_to_end.commands import QUICK, bitcliff, spawned

MLP = ["py:mynet:DigitsMLP", "--weights", "mlp.safetensors"]
FILES = ["config.json", "examples.csv", "junit.xml", "record.json", "report.html"]
PICTURES = ["--image-size", "8", "--channels", "grey", "--interpolation", "nearest"]


def read(directory: Path) -> dict[str, Any]:
    """The record, its examples row by row and its figures beside them."""
    return recompute.opened(json.loads((directory / "record.json").read_text()))


def named(record: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(p for p in record["policies"] if p["name"] == name)
    return found


def test_a_network_of_the_users_own_from_weights_to_report(
    finished: Path, mlp: nn.Module, digits: tuple[torch.Tensor, torch.Tensor]
) -> None:
    assert sorted(path.name for path in finished.iterdir()) == FILES
    record = read(finished)
    with torch.no_grad():
        wanted = mlp(digits[0][1400:1440]).argmax(1)
    assert [row["float_prediction"] for row in record["examples"]] == wanted.tolist()
    right = int((wanted == digits[1][1400:1440]).sum())
    assert (record["float"]["accuracy"]["k"], record["float"]["accuracy"]["n"]) == (right, 40)
    for policy in record["policies"]:
        figures = recompute.policy_figures(record, policy["name"])
        assert policy["flips"]["all"]["k"] == figures["flips"]["all"]["k"]
    assert (
        named(record, "worst-3")["flips"]["all"]["k"]
        >= named(record, "uniform-3")["flips"]["all"]["k"] + 10
    )
    assert record["provenance"]["runs_user_code"]
    assert record["provenance"]["command"].startswith(
        "bitcliff assess py:mynet:DigitsMLP --weights"
    )
    ET.parse(finished / "junit.xml")
    assert "<script" not in (finished / "report.html").read_text()


def test_the_first_screen_says_what_was_found(
    finishing: "subprocess.CompletedProcess[str]",
) -> None:
    assert finishing.returncode == 0
    assert "Fails: " in finishing.stdout
    assert "worst-3" in finishing.stdout
    assert "Report: finished/report.html" in finishing.stdout
    lines = finishing.stderr.splitlines()
    # What a decision is comes first, on terminals too, where stages are shown in passing.
    assert lines[:2] == [
        "Judged by one class, that of the largest score",
        "Loading py:mynet:DigitsMLP",
    ]
    assert any(line.startswith("linear") for line in lines)
    assert "[100 %" in lines[-1]


@pytest.mark.parametrize("data", ["images", "table.csv"])
def test_pictures_give_what_arrays_give(workplace: Path, finished: Path, data: str) -> None:
    """The same 40 digits, stored as 8-bit images: the same float predictions by label."""
    out = f"from-{data}"
    done = bitcliff(workplace, "assess", *MLP, "--data", data, "--out", out, *PICTURES, *QUICK)
    assert done.returncode == 0, done.stderr
    record, arrays = read(workplace / out), read(finished)
    assert record["float"]["accuracy"] == arrays["float"]["accuracy"]
    assert record["subject"]["labelled"]
    assert "8" in record["subject"]["preprocessing"]
    by_place = {int(Path(row["id"]).stem): row["float_prediction"] for row in record["examples"]}
    assert [by_place[i] for i in range(40)] == [r["float_prediction"] for r in arrays["examples"]]
    shown = [row for row in record["examples"] if row["thumbnail"]]
    assert {row["id"] for row in shown} == set(record["at_risk"][:24])
    assert shown[0]["thumbnail"].startswith("data:image/")


def test_built_in_digits_subsampled_and_unlabelled_pictures(workplace: Path) -> None:
    done = bitcliff(
        workplace,
        "assess",
        *MLP,
        "--data",
        "digits",
        "--examples",
        "30",
        "--out",
        "builtin",
        *QUICK,
    )
    assert done.returncode == 0, done.stderr
    subject = read(workplace / "builtin")["subject"]
    assert (subject["n_examples"], subject["n_available"]) == (30, 360)
    assert "30 of 360" in (workplace / "builtin" / "report.html").read_text()

    table = "\n".join(
        line.partition(",")[0] for line in (workplace / "table.csv").read_text().splitlines()
    )
    (workplace / "unlabelled.csv").write_text(table)
    done = bitcliff(
        workplace,
        *("assess", *MLP, "--data", "unlabelled.csv", "--out", "unlabelled", *PICTURES, *QUICK),
        *("--max-drop", "1"),
    )
    assert done.returncode == 1
    record = read(workplace / "unlabelled")
    assert not record["subject"]["labelled"]
    assert record["float"]["accuracy"] is None
    assert named(record, "worst-3")["agreement"]["n"] == 40


def test_json_on_stdout_is_the_record_and_nothing_else(workplace: Path) -> None:
    """Though the network prints in every pass, past Python's stdout too."""
    done = spawned(
        workplace,
        *("assess", "py:mynet:Loud", "--data", "digits", "--examples", "12", "--out", "loud"),
        *("--json", *QUICK),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["schema_version"] == SCHEMA_VERSION
    assert done.stdout == (workplace / "loud" / "record.json").read_text()
    assert "LOUD\n" in done.stderr
    assert "LOUDER\n" in done.stderr


def test_the_threshold_decides_the_exit_code(workplace: Path, finished: Path) -> None:
    arguments = ["assess", *MLP, "--data", "digits.npz", "--out", "gated", *QUICK]
    assert bitcliff(workplace, *arguments, "--max-drop", "2").returncode == 1
    gate = ["gate", "finished", "--max-drop"]
    passed = bitcliff(workplace, *gate, "100")
    failed = bitcliff(workplace, *gate, "2")
    unsure = bitcliff(workplace, *gate, "2", "--policy", "uniform-8")
    wrong = bitcliff(workplace, *gate, "2", "--policy", "uniform-7")
    assert [done.returncode for done in (passed, failed, unsure, wrong)] == [0, 1, 3, 2]
    assert passed.stdout.startswith("Passes: ")
    assert failed.stdout.startswith("Fails: ")
    assert unsure.stdout.startswith("Inconclusive: ")
    assert [done.stderr for done in (passed, failed, unsure)] == [""] * 3
    assert len(wrong.stderr.splitlines()) == 1


def test_something_not_covered_is_inconclusive_not_passed(workplace: Path) -> None:
    (workplace / "recurrent.py").write_text(
        "from torch import nn\n"
        "from torch.nn.utils.rnn import pack_sequence\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.rnn = nn.LSTM(8, 12, batch_first=True)\n"
        "        self.head = nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 10))\n"
        "    def forward(self, x):\n"
        "        return self.head(self.rnn(pack_sequence([*x[:, 0]]))[1][0][0])\n"
    )
    done = bitcliff(
        workplace,
        *("assess", "py:recurrent:Net", "--data", "digits", "--examples", "12", "--out", "rnn"),
        *QUICK,
    )
    assert done.returncode == 3
    assert "NOT COVERED  rnn" in done.stderr
    assert not read(workplace / "rnn")["coverage"]["complete"]
    assert bitcliff(workplace, "gate", "rnn", "--max-drop", "100").returncode == 3


def test_the_report_can_be_drawn_again(workplace: Path, finished: Path) -> None:
    before = (finished / "record.json").read_bytes()
    for name in ("report.html", "junit.xml", "examples.csv"):
        (finished / name).unlink()
    done = bitcliff(workplace, "report", "finished")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in finished.iterdir()) == FILES
    assert (finished / "record.json").read_bytes() == before


def test_a_terminal_that_knows_no_unicode_is_no_trouble(workplace: Path, finished: Path) -> None:
    plain = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = spawned(workplace, "gate", "finished", "--max-drop", "2", **plain)
    assert done.returncode == 1
    assert done.stdout.startswith("Fails: ")
    assert done.stderr == ""
