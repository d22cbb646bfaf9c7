"""`bitcliff guard` as a user runs it."""

import json
from pathlib import Path

import pytest

from bitcliff.stats import rate
from tests.end_to_end.commands import bitcliff

FEW = ["--examples", "60", "--alpha", "0.1", "--delta", "0.2"]


def test_from_a_built_in_network_to_a_record_that_can_be_recomputed(tmp_path: Path) -> None:
    done = bitcliff(
        tmp_path, "guard", "brittle-digits", "--bits", "4", *FEW, "--json", "--out", "run"
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record == json.loads((tmp_path / "run" / "guard.json").read_text())
    assert "<script" not in (tmp_path / "run" / "report.html").read_text()
    figures = record["figures"]
    assert figures["counts"] == [15, 24, 21]
    assert figures["guards"][0]["name"] == "margin alone"
    judged = figures["judged"]
    assert judged["guarded"] == rate(judged["guarded"]["k"], 21).model_dump()
    assert judged["quantized"]["k"] < judged["guarded"]["k"]


def test_the_terminal_says_what_holds(tmp_path: Path) -> None:
    shipped = ("--numerics", "mxfp4-rceil", *FEW, "--exclude", "stages.1*", "--signals", "all")
    done = bitcliff(tmp_path, "guard", "base-digits", *shipped, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "Except with a chance of 20.0 % over the 24 examples that calibrated it" in done.stdout
    assert "The guard looks at: all signals" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["base-digits"], "give what is deployed: either --numerics or --bits"),
        (["base-digits", "--bits", "4", "--alpha", "2"], "--alpha must lie between 0 and 1"),
        (["base-digits", "--bits", "4", "--examples", "50"], "114 examples are needed"),
        (["base-digits", "--numerics", "nvfp5"], "did you mean nvfp4?"),
        (["base-digits", "--numerics", "nvfp4", "--export", "a.onnx"], "--export with --numerics"),
        (["py:nowhere:net", "--bits", "4"], "--data is missing"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = bitcliff(tmp_path, "guard", *arguments, "--out", "run")
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("bitcliff: error:") == 1
    assert not (tmp_path / "run").exists()
