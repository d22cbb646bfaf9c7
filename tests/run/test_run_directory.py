"""Whose a run folder is, one process at a time, and whether its run has ended."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bitcliff.errors import InputError
from bitcliff.record import Record, write_record
from bitcliff.run.partial import Partial
from bitcliff.run.run_directory import check_run_directory, finished_record, held, open_run

LEFTOVER = ".partial.jsonl.0123456789ab.tmp"


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["config.json", "record.json"],
        ["partial.jsonl"],
        [LEFTOVER],
        [".lock"],
        ["config.json", "notes.txt"],
    ],
    ids=str,
)
def test_a_folder_of_a_run_or_empty_is_taken(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    check_run_directory(tmp_path, "assess")
    open_run(tmp_path)
    with held(tmp_path):
        pass
    left = set(names) - {LEFTOVER, ".lock"}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(left)


def test_a_missing_folder_is_made_only_when_the_run_begins(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    check_run_directory(out, "assess")
    assert not out.parent.exists()
    open_run(out)
    assert out.is_dir()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"--out .*: the folder is not empty and holds no run"):
        check_run_directory(tmp_path, "assess")


@pytest.mark.parametrize(
    ("owner", "files"),
    [
        ("assess", ["partial.jsonl"]),
        ("assess", ["config.json", "record.json"]),
        ("isolate", ["isolate.partial.jsonl"]),
        ("isolate", ["config.json", "isolate.json"]),
        ("batchmates", ["config.json", "batchmates.json"]),
        ("guard", ["guard.partial.jsonl"]),
        ("guard", ["config.json", "guard.json"]),
        ("train", ["config.json"]),
    ],
)
def test_a_folder_holds_the_runs_of_one_command(
    tmp_path: Path, owner: str, files: list[str]
) -> None:
    for name in files:
        (tmp_path / name).write_text('{"seeds": [0]}' if owner == "train" else "{}")
    for command in ("assess", "isolate", "guard", "provoke"):
        if command == owner:
            check_run_directory(tmp_path, command)
            continue
        with pytest.raises(InputError, match=f"holds a run of `bitcliff {owner}`; name another"):
            check_run_directory(tmp_path, command)


@pytest.mark.parametrize("out", ["file", "file/below", "x" * 300], ids=["file", "below", "long"])
def test_what_cannot_be_a_folder_is_refused(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out") as caught:  # noqa: PT012
        check_run_directory(tmp_path / out, "assess")
        open_run(tmp_path / out)
    assert "\n" not in str(caught.value)


def test_a_folder_is_held_by_one_that_is_named_and_is_free_afterwards(tmp_path: Path) -> None:
    with (
        held(tmp_path),
        pytest.raises(InputError, match=rf"--out .*: in use by process {os.getpid()} on "),
        held(tmp_path),
    ):
        pass
    with held(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_running_process_writes_is_not_cleared_away(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / LEFTOVER).write_text("being written")
        with pytest.raises(InputError, match="in use by"), held(tmp_path):
            pass
        assert (tmp_path / LEFTOVER).exists()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = f"""
        import time
        from pathlib import Path
        from bitcliff.run.run_directory import held
        with held(Path({str(tmp_path)!r})):
            print("held", flush=True)
            time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"in use by process {process.pid} "), held(tmp_path):
            pass
        process.kill()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    check_run_directory(tmp_path, "assess")
    with held(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_into_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "ftruncate", full)
    with (
        pytest.raises(InputError, match=r"--out .*: cannot be used: No space left"),
        held(tmp_path),
    ):
        pass
    monkeypatch.undo()
    (tmp_path / ".lock").unlink(missing_ok=True)
    (tmp_path / ".lock").mkdir()
    with pytest.raises(InputError, match=r"--out .*: cannot be used: "), held(tmp_path):
        pass


def test_a_run_is_unfinished_from_its_beginning_to_its_end(record: Record, tmp_path: Path) -> None:
    write_record(record, tmp_path)
    assert finished_record(tmp_path) == record
    partial = Partial(tmp_path / "partial.jsonl", {})
    for run in (tmp_path, tmp_path / "record.json"):
        with pytest.raises(InputError, match="its last run was interrupted"):
            finished_record(run)
    partial.clear()
    assert finished_record(tmp_path) == record
