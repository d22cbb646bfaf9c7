"""The SQLite table of runs: up to date, filtered, made again, never somebody else's."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bitcliff.errors import InputError
from bitcliff.record import Record, record_of, write_record
from bitcliff.record.summary import Run
from bitcliff.run.archive import database
from bitcliff.run.archive.database import Archive, Wanted, opened
from bitcliff.run.archive.reading import read_run

DAYS = {"old": "2026-01-05", "new": "2026-03-07", "newest": "2026-03-08"}


def quiet(_name: str, _done: int, _whole: int) -> None:
    pass


@pytest.fixture
def folder(record: Record, tmp_path: Path) -> Path:
    for name, day in DAYS.items():
        source = record.provenance.model_copy(update={"started": f"{day}T23:59:00+00:00"})
        subject = record.subject.model_copy(update={"model": f"py:nets:{name}"})
        update = {"provenance": source, "subject": subject}
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_record(record_of(record.observed.model_copy(update=update)), tmp_path / "runs" / name)
    return tmp_path / "runs"


@pytest.fixture
def archive(folder: Path) -> Iterator[Archive]:
    with opened(None) as found:
        found.update([folder], quiet)
        yield found


def names(archive: Archive, **wanted: str) -> list[str]:
    return [Path(run.path).name for run in archive.runs(Wanted(**wanted))]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["old", "new", "newest"]),
        ({"model": "py:nets:new*"}, ["new", "newest"]),
        ({"since": "2026-03-07"}, ["new", "newest"]),
        ({"until": "2026-03-07"}, ["old", "new"]),
        ({"since": "2026-03-07", "until": "2026-03-07"}, ["new"]),
        ({"verdict": "pass"}, []),
        ({"command": "assess"}, ["old", "new", "newest"]),
        ({"command": "verify"}, []),
        ({"threat": "company"}, []),
        ({"threat": "allocation", "model": "*:old"}, ["old"]),
    ],
)
def test_runs_are_filtered(archive: Archive, wanted: dict[str, str], found: list[str]) -> None:
    assert names(archive, **wanted) == found


def test_of_a_threat_its_figures_alone_are_shown(archive: Archive, record: Record) -> None:
    (run, *_) = archive.runs(Wanted(threat="allocation"))
    expected = [one.name for one in record.policies if one.threat == "allocation"]
    assert [one.name for one in run.figures] == expected
    (run, *_) = archive.runs(Wanted())
    assert len(run.figures) == 1 + len(record.policies)


def test_names_that_no_run_has_are_refused_with_those_there_are(archive: Archive) -> None:
    with pytest.raises(InputError, match="--model resnet: of no run; there is py:nets:new, py"):
        archive.runs(Wanted(model="resnet"))
    with pytest.raises(InputError, match=r"--numerics fp8: of no run; there is none"):
        archive.runs(Wanted(numerics="fp8"))


def test_only_what_changed_is_read_again_and_what_is_gone_is_forgotten(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[str]()

    def noted(run: Path, command: str) -> Run:
        read.append(run.name)
        return read_run(run, command)

    monkeypatch.setattr(database, "read_run", noted)
    store = tmp_path / "store.sqlite"

    def updated() -> tuple[list[str], list[str]]:
        with opened(store) as archive:
            archive.update([folder], quiet)
            refused = [Path(run.path).name for run in archive.refused()]
            return names(archive), refused

    assert updated() == (["old", "new", "newest"], [])
    assert updated() == (["old", "new", "newest"], [])
    assert sorted(read) == ["new", "newest", "old"]
    tamper(folder / "new", lambda figures: figures["float"]["accuracy"].update(k=1))
    (folder / "old" / "record.json").unlink()
    assert updated() == (["newest"], ["new"])
    assert read[3:] == ["new"]


def tamper(run: Path, change: Callable[[dict[str, dict[str, dict[str, int]]]], None]) -> None:
    file = run / "record.json"
    fields = json.loads(file.read_text())
    change(fields["figures"])
    file.write_text(json.dumps(fields))


def test_a_tampered_record_is_refused_with_its_line_whatever_is_asked_for(folder: Path) -> None:
    tamper(folder / "new", lambda figures: figures["float"]["accuracy"].update(k=1))
    with opened(None) as archive:
        archive.update([folder], quiet)
        assert names(archive, model="*:old") == ["old"]
        (refused,) = archive.refused()
    assert refused.path == str(folder / "new")
    assert "inconsistent record: figures.float.accuracy.k is 1" in (refused.refused or "")
    assert refused.figures == ()


def test_a_store_of_another_form_is_made_again(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    with opened(store) as archive:
        archive.update([folder], quiet)
    with closing(sqlite3.connect(store)) as connection:
        connection.executescript("PRAGMA user_version = 99; DROP TABLE figure;")
    with opened(store) as archive:
        assert names(archive) == []
        archive.update([folder], quiet)
        assert names(archive) == ["old", "new", "newest"]


def test_what_is_no_store_is_left_as_it_is(tmp_path: Path) -> None:
    text, other = tmp_path / "text", tmp_path / "other.sqlite"
    text.write_text("not a database, and long enough to be looked at " * 40)
    with closing(sqlite3.connect(other)) as connection:
        connection.executescript("CREATE TABLE mine (x); INSERT INTO mine VALUES (7);")
    before = text.read_bytes(), other.read_bytes()
    words = {text: "file is not a database", other: "somebody else's database"}
    for file, said in words.items():
        with pytest.raises(InputError, match=said), opened(file):
            pass
    assert (text.read_bytes(), other.read_bytes()) == before
    with pytest.raises(InputError, match="unable to open"), opened(tmp_path / "no" / "store"):
        pass
