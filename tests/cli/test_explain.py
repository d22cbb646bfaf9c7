from pathlib import Path

import pytest

from bitcliff.cli.main import run
from bitcliff.run.explain_job import QUESTIONS


@pytest.mark.parametrize(
    ("degrees", "message"),
    [
        ("0", "--degrees 0: degrees go from 1 to 5, such as 1:5 or 1,3,5"),
        ("1:6", "--degrees 1,2,3,4,5,6: degrees go from 1 to 5, such as 1:5 or 1,3,5"),
        ("3,1", "--degrees 3,1: must increase without repeats, such as 1,3,5"),
        ("x", "'x': give a range such as 1:5, or a list such as 1,3,5"),
        ("5:1", "'5:1': the range must increase, such as 1:5"),
    ],
)
def test_impossible_degrees_are_refused_in_a_line(
    degrees: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", str(tmp_path / "run"), "--degrees", degrees]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "value", "question"),
    [
        ("--against", "other", "inputs"),
        ("--train-examples", "0", "layers and inputs"),
        ("--degrees", "1:5", "corruptions"),
        ("--corruption-seeds", "3", "corruptions"),
        ("--corruption-examples", "60", "corruptions"),
        ("--lengths", "64,128", "lengths"),
        ("--shift", "other.npz", "distributions"),
        ("--fine-tune", "0", "mitigations"),
    ],
)
def test_an_option_of_a_question_left_out_is_refused(
    option: str, value: str, question: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explain", str(tmp_path / "run"), option, value, "--only"]
    assert run([*command, "activations"]) == 2
    error = capsys.readouterr().err
    told = f"{option} has no effect: it is for {question}, which --only activations leaves out"
    assert told in error
    assert error.count("\n") == 1
    assert run([*command, question.split()[-1]]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_the_help_names_every_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    *first, last = QUESTIONS
    assert f"{', '.join(first)} or {last}" in told
