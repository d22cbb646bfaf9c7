"""Shipped formats as a user asks for them: listed, held to their oracle, assessed, judged."""

import json
import re
from pathlib import Path

import pytest

from tests.end_to_end.commands import bitcliff

ASSESS = ["assess", "py:mynet:DigitsMLP", "--weights", "mlp.safetensors", "--data", "digits.npz"]
OWN = """
activations: {element: int3, group: token, scale: amax, divisor: 3}
weights: {element: int4, group: block, block: 16, scale: amax, divisor: 7}
"""


def test_presets_are_listed_with_formula_and_source(tmp_path: Path) -> None:
    done = bitcliff(tmp_path, "numerics")
    assert done.returncode == 0
    assert "mxfp4-rceil: 4.25 bits\n" in done.stdout
    assert "nvfp4: 4.5 bits; a scale is shared by a batch\n" in done.stdout
    assert "s = 2^ceil(log2(amax/most))" in done.stdout
    told = json.loads(bitcliff(tmp_path, "numerics", "gguf-q8_0", "--json").stdout)
    assert told["gguf-q8_0"]["activations"]["stored"] == "float16"


def test_a_preset_is_held_to_what_ships_it(tmp_path: Path) -> None:
    done = bitcliff(tmp_path, "numerics", "mxfp4-even", "--check", "--values", "50000")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mxfp4-even: ")
    assert done.stdout.endswith(": equal\n")


def test_what_is_deployed_is_assessed_and_judged(workplace: Path) -> None:
    (workplace / "coarse.yaml").write_text(OWN)
    formats = [
        part
        for name in ("vllm-int8-token", "torchao-fp8-tensor", "coarse.yaml")
        for part in ("--numerics", name)
    ]
    done = bitcliff(workplace, *ASSESS, *formats, "--max-drop", "60", "--out", "shipped")
    assert done.returncode == 0, done.stderr
    record = json.loads((workplace / "shipped" / "record.json").read_text())
    names = [policy["condition"]["numerics"] for policy in record["figures"]["policies"]]
    # One scale for a whole batch makes two conditions: each example by itself, and in company.
    tensor = "torchao-fp8-tensor"
    assert names == ["vllm-int8-token", tensor, tensor, "coarse"]
    coarse = record["figures"]["policies"][3]["change"]
    assert coarse["difference_pp"] < record["figures"]["policies"][0]["change"]["difference_pp"]
    assert "activations int3, token: s = amax/3" in (workplace / "shipped/report.html").read_text()
    gated = bitcliff(workplace, "gate", "shipped", "--max-drop", "60")
    assert gated.returncode == 0
    assert "Of the 4 cases judged, all pass" in gated.stdout
    strict = bitcliff(workplace, "gate", "shipped", "--max-drop", "0", "--policy", "coarse")
    assert strict.returncode in (1, 3)
    assert "in coarse" in strict.stdout
    # No bits were allocated, so nothing is verified: that is not agreement.
    nothing = bitcliff(workplace, "verify", "shipped")
    assert nothing.returncode == 2
    (told,) = nothing.stderr.splitlines()
    assert told.endswith("nothing to verify; assess the network with --budget")
    named = bitcliff(workplace, "verify", "shipped", "--policy", "coarse")
    assert named.returncode == 2
    assert named.stderr.endswith("it has none\n")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--numerics", "vllm-int8"], "did you mean vllm-int8-token"),
        (["--numerics", "nvfp4", "--numerics", "nvfp4"], "--numerics nvfp4 is given twice"),
        (["--numerics", "none.yaml"], "--numerics none.yaml: cannot be read"),
        (["--numerics", "bad.yaml"], "element 'int99' must have 2 to 16 bits"),
        (["--numerics", "odd.yaml"], "which its blocks do not divide: leave them out by --exclude"),
        (["--numerics", "nvfp4.yaml"], "is called as a preset is; rename the file"),
        (
            ["--numerics", "good.yaml", "--explain"],
            "--explain has no effect where formats or runtimes alone are measured",
        ),
        (["--numerics", "good.yaml", "--uniform", "4"], "--uniform has no effect"),
        (["--numerics", "channel.yaml"], "each output channel is group token"),
        (["--numerics", "kv-cache-fp8"], "rounds keys and values of attention alone, and of the"),
        (["--numerics", "nvfp4", "--points", "outputs"], "leave out --points outputs"),
    ],
)
def test_bad_input_is_one_line(workplace: Path, options: list[str], told: str) -> None:
    good = "activations: {element: int8, group: token, scale: amax, divisor: 127}"
    for name in ("good", "nvfp4"):
        (workplace / f"{name}.yaml").write_text(good)
    (workplace / "channel.yaml").write_text(
        good.replace("activations", "weights").replace("token", "channel")
    )
    (workplace / "bad.yaml").write_text(good.replace("int8", "int99"))
    blocks = "group: block, block: 7, ragged: refuse"
    (workplace / "odd.yaml").write_text(good.replace("group: token", blocks))
    done = bitcliff(workplace, *ASSESS, *options, "--include-stem", "--out", "refused")
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (workplace / "refused").exists()


def test_formats_are_mixed_under_an_exact_budget(workplace: Path) -> None:
    (workplace / "coarse.yaml").write_text(OWN)
    asked = ["--options", "torchao-fp8-row,coarse.yaml", "--draws", "3", "--json"]
    refused = bitcliff(workplace, *ASSESS, *asked, "--budget", "6", "--out", "mixed")
    assert refused.returncode == 2
    (told,) = refused.stderr.splitlines()[-1:]
    feasible = re.search(r"the nearest that can are (\S+) or (\S+)$", told)
    assert feasible is not None
    assert not (workplace / "mixed").exists()
    done = bitcliff(workplace, *ASSESS, *asked, "--budget", feasible[2], "--out", "mixed")
    assert done.returncode == 0, done.stderr
    policies = {one["name"]: one for one in json.loads(done.stdout)["figures"]["policies"]}
    mean = f"{float(feasible[2]):g}"
    assert list(policies) == [
        *("coarse", "torchao-fp8-row"),
        *(f"{kind}-mix-{mean}" for kind in ("random", "worst", "best")),
    ]
    worst, best = policies[f"worst-mix-{mean}"], policies[f"best-mix-{mean}"]
    assert sorted(worst["plan"]) == sorted(best["plan"])
    assert worst["accuracy"]["k"] <= best["accuracy"]["k"]
    page = (workplace / "mixed/report.html").read_text()
    assert f'Format under <bdi class="name">worst-mix-{mean}</bdi>' in page
    gated = bitcliff(workplace, "gate", "mixed", "--max-drop", "100")
    assert (gated.returncode, "worst-mix" in gated.stdout) == (0, True)
