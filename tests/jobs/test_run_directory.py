from pathlib import Path

import pytest

from bitcliff.assess.measured import Measured
from bitcliff.errors import InputError
from bitcliff.jobs.run_directory import (
    PartialResults,
    check_run_directory,
    finished_record,
    held,
    open_run,
)
from bitcliff.records import Outcome, Record, write_record
from tests.a_measured import a_measured

CONFIG = {"seed": 1, "bits": [3, 4]}
LEFTOVER = ".partial.json.0123456789ab.tmp"


def measured(name: str = "worst-4") -> Measured:
    outcomes = {7: Outcome(prediction=1, margin=0.1 + 0.2, bits=[3, 5])}
    return a_measured(name=name, description="Ünïcødé", outcomes=outcomes)


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["config.json", "record.json"],
        ["partial.json"],
        [LEFTOVER],
        ["config.json", "notes.txt"],
    ],
    ids=str,
)
def test_a_folder_of_a_run_or_empty_is_taken(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    check_run_directory(tmp_path, "assess")
    open_run(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(set(names) - {LEFTOVER})


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
        ("assess", ["partial.json"]),
        ("assess", ["config.json", "record.json"]),
        ("batchmates", ["batchmates.partial.json"]),
        ("batchmates", ["config.json", "batchmates.json"]),
        ("train", ["config.json", "lock"]),
    ],
)
def test_a_folder_holds_the_runs_of_one_command(
    tmp_path: Path, owner: str, files: list[str]
) -> None:
    for name in files:
        (tmp_path / name).write_text("{}")
    for command in ("assess", "batchmates"):
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


def test_what_was_measured_is_found_again_by_the_same_configuration_only(tmp_path: Path) -> None:
    store = PartialResults(tmp_path, CONFIG)
    assert store.resumed == 0
    store.put(measured())
    store.put(measured("worst-5"))
    again = PartialResults(tmp_path, dict(reversed(CONFIG.items())))
    assert again.resumed == 2
    assert again.get("worst-4") == measured()
    assert again.get("worst-9") is None
    assert PartialResults(tmp_path, {**CONFIG, "seed": 2}).resumed == 0


def test_a_run_that_ended_leaves_nothing_to_take_up(tmp_path: Path) -> None:
    store = PartialResults(tmp_path, CONFIG)
    store.put(measured())
    store.clear()
    store.clear()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "binary", "field"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    store = PartialResults(tmp_path, CONFIG)
    store.put(measured())
    path = tmp_path / "partial.json"
    data = path.read_bytes()
    damaged = {
        "cut": data[: len(data) // 2],
        "garbage": b"[1, 2]",
        "empty": b"",
        "binary": bytes(range(256)),
        "field": data.replace(b'"margin"', b'"marlin"'),
    }
    path.write_bytes(damaged[damage])
    assert PartialResults(tmp_path, CONFIG).resumed == 0


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with (
        held(tmp_path),
        pytest.raises(InputError, match="another run is writing into it"),
        held(tmp_path),
    ):
        pass
    with held(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_unfinished_from_its_beginning_to_its_end(record: Record, tmp_path: Path) -> None:
    write_record(record, tmp_path)
    assert finished_record(tmp_path) == record
    store = PartialResults(tmp_path, CONFIG)
    for run in (tmp_path, tmp_path / "record.json"):
        with pytest.raises(InputError, match="its last run was interrupted"):
            finished_record(run)
    assert PartialResults(tmp_path, CONFIG).started == store.started
    store.clear()
    assert finished_record(tmp_path) == record
