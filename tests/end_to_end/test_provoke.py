"""`bitcliff provoke` as a user runs it."""

import json
from pathlib import Path

import pytest

from bitcliff.stats import rate
from tests.end_to_end.commands import bitcliff

QUICK = ["--examples", "8", "--effort", "24"]


def test_from_a_built_in_network_to_a_record_that_can_be_recomputed(tmp_path: Path) -> None:
    (tmp_path / "four.yaml").write_text(
        "activations: {element: uint4, group: example, scale: minmax-zero}\neverywhere: true\n"
    )
    arguments = ("provoke", "brittle-digits", "--numerics", "four.yaml", "--within", "linf:24/255")
    done = bitcliff(tmp_path, *arguments, *QUICK, "--json", "--out", "run", "--max-provoked", "0")
    record = json.loads(done.stdout)
    assert record == json.loads((tmp_path / "run" / "provoke.json").read_text())
    assert "<script" not in (tmp_path / "run" / "report.html").read_text()
    (searched,) = record["searched"]
    fell = [
        any(
            attempts[place]["failure"]
            for method, attempts in searched["attempts"].items()
            if method != "float, nudged"
        )
        for place in range(len(searched["attempts"]["at random"]))
    ]
    assert sum(fell) > 0
    assert record["figures"]["provoked"] == rate(sum(fell), len(fell)).model_dump()
    assert done.returncode == 1
    told = bitcliff(tmp_path, "gate", "run", "--max-provoked", "100")
    assert (told.returncode, told.stdout.split(":")[0]) == (0, "Pass")
    assert bitcliff(tmp_path, "gate", "run/provoke.json", "--max-provoked", "0").returncode == 1
    for more, says in (
        (["nan"], "--max-provoked is per cent"),
        (["5", "--max-drop", "2"], "--max-drop has no effect with --max-provoked"),
    ):
        wrong = bitcliff(tmp_path, "gate", "run", "--max-provoked", *more)
        assert (wrong.returncode, says in wrong.stderr) == (2, True)
    refused = bitcliff(tmp_path, "gate", "run")
    assert refused.returncode == 2
    assert "--max-provoked" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["base-digits", "--within", "linf:8"], "--within linf:8: must be 1 or less"),
        (["base-digits", "--within", "linve:8"], "no such set; did you mean linf"),
        (["base-digits", "--numerics", "nvfp5"], "did you mean nvfp4?"),
        (["base-digits", "--max-provoked", "101"], "--max-provoked"),
        (["py:nowhere:net"], "--data is missing"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = bitcliff(tmp_path, "provoke", *arguments, "--out", "run")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("bitcliff: error:") == 1
    assert not (tmp_path / "run").exists()
