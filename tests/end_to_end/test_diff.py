"""Two numerics, or runtimes, as a user compares them: told, judged, stored, refused."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.commands import bitcliff

MODEL = ("py:mynet:DigitsMLP", "--weights", "mlp.safetensors", "--data", "digits.npz")
COARSE = """
activations: {element: int2, group: token, scale: amax, divisor: 1}
weights: {element: int8, group: token, scale: amax, divisor: 127}
"""


@pytest.fixture(scope="module")
def compared(workplace: Path) -> Path:
    (workplace / "coarse.yaml").write_text(COARSE)
    done = bitcliff(
        *(workplace, "diff", "vllm-int8-token", "coarse.yaml", *MODEL),
        *("--max-drop", "2", "--out", "compared"),
    )
    assert done.returncode == 1, done.stderr
    assert "Fails: from vllm-int8-token to coarse, accuracy drops by" in done.stdout
    assert "Values first differ at layers.0: its inputs are rounded differently" in done.stdout
    return workplace


def test_what_differs_is_told_and_fails(compared: Path) -> None:
    record = json.loads((compared / "compared" / "record.json").read_text())
    policies = record["figures"]["policies"]
    # No bits are explored: the two alone, each against float.
    assert [policy["name"] for policy in policies] == ["vllm-int8-token", "coarse"]
    (pair,) = record["figures"]["difference"]["pairs"]
    right = [policy["accuracy"]["k"] for policy in policies]
    assert pair["change"]["gained"] - pair["change"]["lost"] == right[1] - right[0] < -5
    assert pair["divergence"]["n"] == pair["decisions"]["n"] == 40
    page = (compared / "compared" / "report.html").read_text()
    assert "Where values part, layer by layer" in page
    assert "Where the values go in <bdi" in page


def test_the_gate_and_the_report_judge_the_difference_too(compared: Path) -> None:
    gated = bitcliff(compared, "gate", "compared", "--max-drop", "2")
    assert gated.returncode == 1
    assert gated.stdout.startswith("Fails: from vllm-int8-token to coarse")
    # By name, one of the two against float.
    assert (
        bitcliff(
            *(compared, "gate", "compared", "--max-drop", "60", "--policy", "vllm-int8-token")
        ).returncode
        == 0
    )
    assert bitcliff(compared, "report", "compared").returncode == 0
    assert "from vllm-int8-token to coarse" in (compared / "compared/junit.xml").read_text()
    assert "<title>Fails" in (compared / "compared/report.html").read_text()


def test_the_other_way_round_nothing_is_lost(compared: Path) -> None:
    done = bitcliff(
        *(compared, "diff", "coarse.yaml", "float", *MODEL, "--json"),
        *("--max-drop", "2", "--out", "back"),
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["settings"]["compared"] == ["coarse", "float"]
    assert record["figures"]["difference"]["pairs"][0]["change"]["difference_pp"] > 10


def test_numerics_against_a_runtime(compared: Path) -> None:
    done = bitcliff(
        *(compared, "diff", "ort-uint8", "ort-dynamic:weights=uint8", *MODEL),
        *("--batch-size", "8", "--out", "runtime"),
    )
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "Not compared layer by layer: ort-dynamic:weights=uint8 shows no values" in told
    record = json.loads((compared / "runtime" / "record.json").read_text())
    found = record["figures"]["difference"]
    assert record["answers"]["difference"]["layers"] is None
    assert (found["layers"], found["first"]) == ([], None)
    alone, batch = found["pairs"]
    assert (batch["a"], batch["b"]) == ("ort-uint8-batch", "ort-dynamic:weights=uint8-batch")
    # One scale for a tensor in both: the two are near, and part by how weights are rounded.
    assert 0 < alone["divergence"]["mean"] < 0.05


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ("nvfp4", "nvfp4", "A and B are both nvfp4: give two that differ"),
        ("vllm-int8", "nvfp4", "did you mean vllm-int8-token"),
        ("nvfp4", "none.yaml", "none.yaml: cannot be read"),
        ("float", "mxfp8-floor", "its runtime takes no layer whose inputs are a number"),
        ("float", "file:none.onnx", "none.onnx"),
    ],
)
def test_bad_input_is_one_line(workplace: Path, a: str, b: str, told: str) -> None:
    done = bitcliff(workplace, "diff", a, b, *MODEL, "--out", "refused")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert told in line
    assert not (workplace / "refused").exists()
