"""What each command that reads a run says of a folder that is none: one line, and a true one."""

from pathlib import Path

import pytest

from bitcliff.cli.main import run
from bitcliff.record import Record, write_record

GIVE = "give a run directory that `bitcliff assess` wrote"
FOLDERS = {
    "empty": [],
    "killed": ["partial.jsonl"],
    "guard": ["guard.json", "config.json", "report.html"],
    "provoked": ["provoke.json", "config.json", "report.html"],
    "one-trigger": ["provoke-universal.json", "config.json", "report.html"],
    "mates-killed": ["isolate.partial.jsonl"],
    "mates": ["isolate.json", "config.json", "report.html"],
    "mates-killed-again": ["isolate.json", "isolate.partial.jsonl"],
}
OF_A_RUN = ["verify", "export", "explain"]
OF_A_RECORD = ["gate", "report"]
SAID = {
    "empty": f"empty: holds no record.json; {GIVE}",
    "killed": "killed: its last run was interrupted; run the same command again first",
    "guard": f"guard: a finished `bitcliff guard`; read its report.html, or {GIVE}",
    "provoked": f"provoked: a finished `bitcliff provoke`; read its report.html, or {GIVE}; "
    "`gate` judges it by --max-provoked",
    "one-trigger": f"one-trigger: a finished `bitcliff provoke --universal`; read its report.html, "
    f"or {GIVE}; `gate` judges it by --max-provoked",
    "mates-killed": f"an interrupted `bitcliff isolate`; run the same again, or {GIVE}",
    "mates": f"mates: a finished `bitcliff isolate`; read its report.html, or {GIVE}",
    "mates-killed-again": "an interrupted `bitcliff isolate`; run the same again",
}


def refused(command: str, folder: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run([command, folder]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder, files in FOLDERS.items():
        (tmp_path / folder).mkdir()
        for name in files:
            (tmp_path / folder / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", OF_A_RUN + OF_A_RECORD)
def test_it_is_said_what_the_folder_is(
    here: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # What lies beside a run that is not there says nothing of it.
    (here / "partial.jsonl").write_text("{}")
    before = sorted(here.rglob("*"))
    for folder, said in SAID.items():
        assert said in refused(command, folder, capsys)
    either = "no such file; give a run directory or its record.json"
    missing = either if command in OF_A_RECORD else f"no such folder; {GIVE}"
    assert f"nosuch: {missing}" in refused(command, "nosuch", capsys)
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("command", OF_A_RUN)
def test_what_needs_the_run_is_not_content_with_its_record(
    here: Path, record: Record, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(record, here / "record.json")
    assert f"record.json: not a folder; {GIVE}" in refused(command, "record.json", capsys)
