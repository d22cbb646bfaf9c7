"""What others read of a verdict, by their own parsers where they install."""

import html
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results

from bitcliff.cli.main import run
from bitcliff.record import Record, write_record
from bitcliff.report.elsewhere import render_markdown, render_model_card, render_sarif
from bitcliff.verdict import judge
from tests.report.example_record import Variant, example_record

ROOT = Path(__file__).parents[2]
HOSTILE = "a|b <script>alert(1)</script> [x](http://y) `c` \u202e"


def named(record: Record, model: str) -> Record:
    subject = record.subject.model_copy(update={"model": model})
    return replace(record, observed=record.observed.model_copy(update={"subject": subject}))


def test_markdown_has_the_verdict_and_a_row_for_each_judged_policy() -> None:
    record = example_record()
    verdict = judge(record, 2.0)
    text = render_markdown(record, verdict, ["few"])
    assert text.startswith("### Quantization: ❌ fails\n")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(verdict.judgements)
    assert "| worst-7 | ❌ fails | " in text
    assert "50.0 (" in text
    assert "> Warning: few\n" in text


def test_names_from_files_end_no_cell_and_are_no_html() -> None:
    record = named(example_record(), HOSTILE)
    text = render_markdown(record, judge(record, 2.0), [])
    assert "<script" not in text.replace("\\<script", "")
    assert "\\|b" in text
    assert "\\[x\\](" in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    ("variant", "limit", "levels"),
    [
        (Variant(), 2.0, {"error"}),
        (Variant(cliff=False, n=160), 5.0, {"none"}),
        (Variant(cliff=False), 2.0, {"error"}),  # inconclusive must not let a build pass
    ],
)
def test_sarif_tells_what_does_not_pass(variant: Variant, limit: float, levels: set[str]) -> None:
    record = example_record(variant)
    verdict = judge(record, limit)
    found = json.loads(render_sarif(record, verdict, "0.1"))
    assert found["version"] == "2.1.0"
    [sarif] = found["runs"]
    assert {one["level"] for one in sarif["results"]} == levels
    rules = {rule["id"] for rule in sarif["tool"]["driver"]["rules"]}
    assert {one["ruleId"] for one in sarif["results"]} == rules
    told = {one["message"]["text"] for one in sarif["results"]}
    assert told <= {verdict.sentence, *(one.sentence for one in verdict.judgements)}


def test_a_models_card_is_read_by_the_hub() -> None:
    record = example_record()
    block = yaml.safe_load(render_model_card(record))
    name, results = model_index_to_eval_results(block["model-index"])
    assert name == record.subject.model
    values = {str(one.metric_name): one.metric_value for one in results}
    assert len(values) == 1 + len(record.policies)
    worst = next(value for told, value in values.items() if ", worst-7 (" in told)
    assert worst == round(record.by_name["worst-7"].accuracy.value, 4)  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize("form", ["markdown", "sarif", "model-card"])
def test_the_gate_prints_it_and_leaves_as_ever(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(example_record(), tmp_path)
    assert run(["gate", str(tmp_path), "--as", form]) == 1
    assert capsys.readouterr().out
    assert run(["gate", str(tmp_path), "--as", form, "--json"]) == 2
    assert "--json has no effect with --as" in capsys.readouterr().err


def test_the_action_leaves_with_the_gates_code_and_writes_the_summary(tmp_path: Path) -> None:
    """Its step as GitHub's runner would run it: bash, with the inputs in the environment."""
    write_record(example_record(), tmp_path / "run")
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    [step] = action["runs"]["steps"]
    given = {"run": str(tmp_path / "run"), "sarif": str(tmp_path / "found.sarif")}
    values = {
        name: given.get(name, one.get("default", "")) for name, one in action["inputs"].items()
    }
    env = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: values[match[1]], value)
        for name, value in step["env"].items()
    }
    (tmp_path / "bitcliff").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bitcliff "$@"\n')
    (tmp_path / "bitcliff").chmod(0o755)
    summary = tmp_path / "summary.md"
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        env={**os.environ, **env, "PATH": path, "GITHUB_STEP_SUMMARY": str(summary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Quantization: ❌ fails" in html.unescape(summary.read_text())
    assert json.loads((tmp_path / "found.sarif").read_text())["runs"]
