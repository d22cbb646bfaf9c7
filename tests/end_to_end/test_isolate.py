"""`bitcliff isolate` as a user runs it."""

import json
from pathlib import Path

import pytest

from bitcliff.stats import rate
from tests.end_to_end.commands import bitcliff

QUICK = ["--examples", "8", "--batch", "4", "--draws", "2", "--candidates", "4", "--effort", "4"]


def test_from_a_built_in_network_to_a_record_that_can_be_recomputed(tmp_path: Path) -> None:
    done = bitcliff(tmp_path, "isolate", "brittle-digits", *QUICK, "--json", "--out", "run")
    record = json.loads(done.stdout)
    assert record == json.loads((tmp_path / "run" / "isolate.json").read_text())
    assert "<script" not in (tmp_path / "run" / "report.html").read_text()
    assert record["positive_control"] is True
    assert record["figures"]["ours_changed"]["k"] == 0
    rows = {row["name"]: row for row in record["figures"]["situations"]}
    for name in ("float, at random", "float, worst companion", "copies of itself"):
        assert rows[name]["flips"]["k"] == 0
    found = record["figures"]
    assert done.returncode == (1 if found["counterexamples"] else 3), done.stderr
    assert found["status"] == ("counterexample" if found["counterexamples"] else "open")
    assert found["proof"] is None
    victims = record["victims"]
    assert len(victims) == 8
    for name in ("from the data", "patterns", "widest ranges", "gradients", "random search"):
        flips = sum(v["attacks"][name]["prediction"] != v["baseline"]["alone"] for v in victims)
        assert rows[name]["flips"] == rate(flips, 8).model_dump()
        assert rows[name]["runs"] == sum(v["attacks"][name]["runs"] for v in victims)


def test_arrays_that_are_no_pictures_get_companions_from_the_data_alone(workplace: Path) -> None:
    import numpy as np

    digits = np.load(workplace / "digits.npz")
    np.savez(workplace / "flat.npz", x=digits["x"].reshape(40, 64), y=digits["y"])
    done = bitcliff(
        workplace,
        *("isolate", "py:mynet:DigitsMLP", "--weights", "mlp.safetensors"),
        *("--data", "flat.npz", *QUICK, "--out", "flat"),
    )
    assert done.returncode in (1, 3), done.stderr
    assert "from the data" in done.stdout
    assert "gradients" not in done.stdout
    assert "no image" in (workplace / "flat" / "report.html").read_text() or (
        "No companion flipped" in (workplace / "flat" / "report.html").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["base-digits", "--batch", "1"], "--batch must be 2 or more, not 1"),
        (["base-digits", "--runtime", "ort"], "--runtime ort: not known"),
        (["base-digits", "--numerics", "nvfp5"], "did you mean nvfp4?"),
        (["base-digits", "--numerics", "nvfp4", "--runtime", "openvino"], "leave out --runtime"),
        (["base-digits", "--examples", "4", "--batch", "5"], "there are only"),
        (["py:nowhere:net"], "--data is missing"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = bitcliff(tmp_path, "isolate", *arguments, "--out", "run")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("bitcliff: error:") == 1
    assert not (tmp_path / "run").exists()


def test_a_format_is_proved_to_isolate_and_nothing_is_looked_for(tmp_path: Path) -> None:
    arguments = ("isolate", "base-digits", "--numerics", "mxfp8-rceil", "--out", "run")
    done = bitcliff(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Proved isolated from quantization: ")
    record = json.loads(bitcliff(tmp_path, *arguments, "--json").stdout)
    assert record == json.loads((tmp_path / "run" / "isolate.json").read_text())
    assert (record["victims"], record["figures"]["status"]) == ([], "proved")
    assert "Proved isolated from quantization" in (tmp_path / "run" / "report.html").read_text()


def test_the_name_of_before_tells_todays(tmp_path: Path) -> None:
    done = bitcliff(tmp_path, "batchmates", "base-digits", "--runtime", "ort-dynamic", "--help")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "`bitcliff batchmates` is now `bitcliff isolate`" in done.stderr
