"""`bitcliff runs` as typed: lists, compares, writes, and refuses in one line."""

import json
from pathlib import Path

import pytest

from bitcliff.cli.main import run
from bitcliff.record import Record, write_record
from tests.a_record import with_conditions
from tests.record.test_across import with_wrong

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, one in {"a": record, "b": with_wrong(record, "uniform-8", [*range(15)])}.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_record(one, tmp_path / "runs" / name)
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / "record.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_are_listed_and_what_is_refused_too(here: Path, capsys: Capture) -> None:
    assert run(["runs"]) == 0
    out = capsys.readouterr().out
    assert "\n2 runs\nRefused: runs/bad/record.json: not a whole JSON file" in out
    assert run(["runs", "runs", "--json", "--threat", "allocation"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in told["runs"]] == ["runs/a", "runs/b"]
    assert {one["threat"] for row in told["runs"] for one in row["figures"]} == {"allocation"}
    assert [one["path"] for one in told["refused"]] == ["runs/bad"]


def test_what_got_worse_is_told(here: Path, record: Record, capsys: Capture) -> None:
    assert run(["runs", "--compare", "runs/a", "runs/b"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("From runs/a to runs/b, on 40 examples: got worse: uniform-8.\n")
    assert "uniform-8, right before and not after: digit-1400, " in out
    assert run(["runs", "--compare", "runs/a", "runs/b", "--json"]) == 0
    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)["compared"]}
    assert told["uniform-8"]["direction"] == -1
    assert told["uniform-8"]["change"]["lost"] == len(told["uniform-8"]["lost"]) > 10


def test_runs_that_have_only_float_in_common_are_told(
    here: Path, record: Record, capsys: Capture
) -> None:
    even = with_conditions(record, lambda one: one.kind == "uniform")
    worst = with_conditions(record, lambda one: one.kind == "worst")
    for name, one in {"even": even, "worst": worst}.items():
        (here / name).mkdir()
        write_record(one, here / name)
    assert run(["runs", "--compare", "even", "even"]) == 0
    assert "in common" not in capsys.readouterr().out
    assert run(["runs", "--compare", "even", "worst"]) == 0
    assert "The two runs have nothing in common but float" in capsys.readouterr().out


def test_the_table_and_the_page_are_written(here: Path, capsys: Capture) -> None:
    written = ["--csv", "t.csv", "--parquet", "t.parquet", "--page", "h.html"]
    assert run(["runs", *written, "--store", "s.sqlite"]) == 0
    assert "Written: h.html" in capsys.readouterr().out
    assert all((here / name).stat().st_size for name in ("t.csv", "t.parquet", "s.sqlite"))
    assert "<title>History" in (here / "h.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("nosuch", "nosuch: no such folder; give folders that hold runs"),
        ("--model foo", "--model foo: of no run; there is "),
        ("--since soon", "'--since': 'soon': give a day such as 2026-11-30"),
        ("--threat all", "'--threat': 'all' is not one of"),
        ("--csv no/t.csv", "--csv no/t.csv: cannot be written"),
        ("--store runs", "--store runs: cannot be used"),
        ("--by-name", "--by-name has no effect without --compare"),
        ("--to nowhere", "--to nowhere: should be mlflow, mlflow:URI, wandb or"),
        ("--to wandb --compare runs/a runs/b", "--to: no effect with --compare"),
        ("runs --compare runs/a runs/b", "FOLDERS: no effect with --compare"),
        ("--verdict fail --compare runs/a runs/b", "--verdict: no effect with --compare"),
        ("--compare runs/a runs/bad", "runs/bad/record.json: not a whole JSON file"),
        ("--compare runs/a runs/none", "runs/none: no such file"),
        ("--page h.html --until 2001-01-01", "--page: none of these runs is an assessment"),
    ],
)
def test_bad_input_is_one_line(here: Path, capsys: Capture, arguments: str, words: str) -> None:
    assert run(["runs", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [one for one in err.splitlines() if not one.startswith("[")]
    assert words in line
    assert not list(here.glob("*.html"))


def test_the_table_has_as_many_columns_as_fit(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for width, heads in ((80, "run n verdict"), (160, "run began command model data n verdict")):
        monkeypatch.setenv("COLUMNS", str(width))
        assert run(["runs"]) == 0
        first, *rows = capsys.readouterr().out.splitlines()
        assert first.split() == [*heads.split(), "worst", "change"]
        assert sum(row.startswith(("runs/a ", "runs/b ")) for row in rows) == 2
        assert rows.index("2 runs") == 2
