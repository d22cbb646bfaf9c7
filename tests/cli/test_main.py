import errno
from pathlib import Path
from typing import Any

import click
import pytest

from bitcliff.cli.main import commands, run
from bitcliff.errors import InputError, NumericError
from bitcliff.record import Record, write_record


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds a command that raises what it is told to."""

    def add(error: BaseException) -> None:
        def body() -> None:
            raise error

        monkeypatch.setitem(commands.commands, "fail", click.Command("fail", callback=body))

    return add


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("a.npz: holds\nno x"), 2, "bitcliff: error: a.npz: holds no x"),
        (NumericError("NaN at conv"), 2, "bitcliff: error: NaN at conv"),
        (click.UsageError("no such option"), 2, "bitcliff: error: no such option"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "Disk full", "f"), 2, "f: Disk full; free some space"),
        (OSError(errno.EACCES, "Not yours", "f"), 2, "bitcliff: error: f: Not yours"),
        (ValueError("a defect\nof ours"), 2, "internal error: ValueError: a defect of ours"),
        (RecursionError("deep"), 2, "internal error: RecursionError"),
        (MemoryError(), 2, "internal error: MemoryError"),
        (SystemExit(0), 2, "ended the program (exit code 0)"),
        (SystemExit("bye"), 2, "ended the program"),
    ],
    ids=repr,
)  # fmt: skip
def test_every_error_is_one_line_and_never_a_pass(
    failing: Any, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    failing(error)
    assert run(["fail"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_debugging_shows_where(
    failing: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITCLIFF_DEBUG", "1")
    failing(InputError("no"))
    assert run(["fail"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["-h"], 0), (["--version"], 0), (["assess", "--help"], 0), ([], 2)],
    ids=str,
)
def test_help_is_on_stdout(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert "bitcliff" in out
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["asess"], "asess"),
        (["assess", "--bit", "3"], "--bit"),
        (["assess", "--bits", "10:3"], "the range must increase"),
        (["assess", "--budget", "much"], "numbers separated by commas"),
        (["assess", "--points", "middles"], "inputs"),
        (["assess", "a", "b"], "unexpected extra argument"),
        (["gate"], "RUN"),
        (["gate", "nowhere"], "nowhere: no such file"),
        (["gate", "nowhere", "--max-drop", "a"], "--max-drop"),
        (["report", "nowhere"], "nowhere: no such file"),
    ],
    ids=str,
)
def test_wrong_usage_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_the_gate_answers_by_its_exit_code(
    record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(record, tmp_path)
    assert run(["gate", str(tmp_path), "--max-drop", "2"]) == 1
    assert run(["gate", str(tmp_path), "--max-drop", "100"]) == 0
    assert run(["gate", str(tmp_path), "--max-drop", "2", "--policy", "uniform-8"]) == 3
    assert run(["gate", str(tmp_path), "--policy", "uniform-9"]) == 2
    assert run(["gate", str(tmp_path), "--max-drop", "-1"]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("Fails: ")
    assert out.splitlines()[1].endswith(" on held-out digits")
    assert "did you mean 'uniform-8'" in err
