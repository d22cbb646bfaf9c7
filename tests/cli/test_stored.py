import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bitcliff.cli.main import run
from bitcliff.record import Record, write_record
from bitcliff.verdict import judge
from tests.report.example_record import graded
from tests.report.test_basis import answering


@pytest.fixture
def stored(record: Record, tmp_path: Path) -> Path:
    write_record(record, tmp_path)
    return tmp_path


def test_the_gate_in_json_is_the_verdict(
    stored: Path, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["gate", str(stored / "record.json"), "--max-drop", "5", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    wanted = judge(record, 5.0)
    assert (found["status"], found["sentence"]) == (wanted.status, wanted.sentence)
    assert [j["policy"] for j in found["judgements"]] == [j.policy for j in wanted.judgements]


def test_the_gate_warns_as_the_report_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(answering([(n % 10, (n + (n > 12)) % 10) for n in range(100)]), tmp_path)
    run(["gate", str(tmp_path)])
    assert "\nWarning: Even in float, only" in capsys.readouterr().out
    run(["gate", str(tmp_path), "--json"])
    (told,) = json.loads(capsys.readouterr().out)["warnings"]
    assert "not clearly better than by chance" in told


def test_the_gate_changes_nothing(stored: Path) -> None:
    before = (stored / "record.json").read_bytes()
    run(["gate", str(stored)])
    assert [path.name for path in stored.iterdir()] == ["record.json"]
    assert (stored / "record.json").read_bytes() == before


@pytest.mark.parametrize("name", ["", "record.json"])
def test_the_report_is_drawn_again_beside_the_record(
    stored: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before = (stored / "record.json").read_bytes()
    assert run(["report", str(stored / name), "--max-drop", "100"]) == 0
    assert str(stored / "report.html") in capsys.readouterr().out.replace("\n", "")
    names = sorted(path.name for path in stored.iterdir())
    assert names == ["examples.csv", "junit.xml", "record.json", "report.html"]
    assert "Passes" in (stored / "report.html").read_text()
    assert (stored / "record.json").read_bytes() == before
    assert run(["report", str(stored / name)]) == 0
    assert "Fails" in (stored / "report.html").read_text()


@pytest.mark.parametrize("command", ["gate", "report"])
@pytest.mark.parametrize("damage", ["cut", "changed", "emptied"])
def test_a_damaged_record_is_refused(
    stored: Path, capsys: pytest.CaptureFixture[str], command: str, damage: str
) -> None:
    path = stored / "record.json"
    text = path.read_text()
    damaged = {
        "cut": text[: len(text) // 2],
        "changed": text.replace('"at_risk": [', '"at_risk": ["nobody", '),
        "emptied": "",
    }
    path.write_text(damaged[damage])
    assert run([command, str(stored)]) == 2
    err = capsys.readouterr().err
    assert "record.json" in err
    assert len(err.strip().splitlines()) == 1
    assert [path.name for path in stored.iterdir()] == ["record.json"]


@pytest.mark.parametrize("command", ["gate", "report"])
def test_an_older_record_is_not_taken_for_an_interrupted_runs(
    stored: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (stored / "partial.jsonl").write_text("{}")
    assert run([command, str(stored)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "its last run was interrupted" in err
    assert len(err.splitlines()) == 1


def test_a_limit_of_the_mean_score_reaches_every_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = graded("continuation:20", by_words=True)
    write_record(record, tmp_path)
    limit = [str(tmp_path), "--max-score-drop", "0.1"]
    says = "the mean word error rate rises by 10.0 points"
    told = {}
    for form in ("junit", "sarif", "markdown"):
        assert run(["gate", *limit, "--policy", "worst-7", "--as", form]) == 1
        told[form] = capsys.readouterr().out
        assert says in told[form]
    (failure,) = ElementTree.fromstring(told["junit"].encode()).iter("failure")
    assert says in (failure.text or "")
    rule = json.loads(told["sarif"])["runs"][0]["tool"]["driver"]["rules"][0]
    assert rule["shortDescription"]["text"].startswith("The mean word error rate")
    assert "| Of each words right |" in told["markdown"]
    assert "| 60.0\u00a0% (" in told["markdown"]  # linspace(0.4, 1) is 0.7 on average, less 0.1
    assert run(["gate", *limit, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["max_score_drop"], found["of_scores"]) == (0.1, True)
    assert run(["report", *limit]) == 0
    assert says in (tmp_path / "junit.xml").read_text()
    assert says in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("command", ["gate", "report"])
def test_a_limit_of_decisions_or_of_scores(
    stored: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    both = ["--max-drop", "2", "--max-score-drop", "2"]
    assert run([command, str(stored), *both]) == 2
    assert "--max-drop has no effect with --max-score-drop" in capsys.readouterr().err
    assert run([command, str(stored), "--max-score-drop", "2"]) == 2
    assert "has no score beside right and wrong; give --max-drop" in capsys.readouterr().err
