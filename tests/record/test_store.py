"""Records on disk: whole or not at all, and nothing wrong is read without a word."""

import hashlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bitcliff.errors import InputError, NumericError
from bitcliff.record import (
    SCHEMA_VERSION,
    Record,
    make_folder,
    read_record,
    record_json,
    write_record,
    write_text_atomic,
)
from bitcliff.record.figures import Figures
from bitcliff.record.schema import SAME_OBSERVATIONS
from tests.report.example_record import Variant, example_record


@pytest.fixture(scope="module")
def record() -> Record:
    return example_record()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("variant", [Variant(), Variant(labelled=False), Variant(hostile=True)])
def test_reads_back_what_was_written(variant: Variant, tmp_path: Path) -> None:
    built = example_record(variant)
    write_record(built, tmp_path / "record.json")
    assert read_record(tmp_path) == built
    assert read_record(tmp_path / "record.json") == built


def test_a_directory_gets_record_json_inside(record: Record, tmp_path: Path) -> None:
    write_record(record, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_json_is_plain_and_stable(record: Record, tmp_path: Path) -> None:
    text = record_json(record)
    assert text.endswith("}\n")
    fields = json.loads(text)
    assert list(fields)[:2] == ["schema_version", "provenance"]
    assert list(fields)[-1] == "figures"
    assert "float" in fields["figures"]
    assert "float_" not in fields["figures"]
    # One condition a line, so that a diff of two records says which differ.
    lines = [line for line in text.splitlines() if line.startswith('{"condition": ')]
    assert len(lines) == len(record.policies)
    write_record(record, tmp_path)
    assert (tmp_path / "record.json").read_text(encoding="utf-8") == text
    assert record_json(read_record(tmp_path)) == text


def test_nan_is_refused_when_writing(record: Record, tmp_path: Path) -> None:
    # model_copy does not validate: a mistake inside Bitcliff could let a NaN through.
    settings = record.settings.model_copy(update={"max_drop": float("nan")})
    observed = record.observed.model_copy(update={"settings": settings})
    with pytest.raises(NumericError, match="NaN"):
        write_record(replace(record, observed=observed), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text_atomic(tmp_path / "report.html", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o644


def test_full_disk_keeps_what_was_there(tiny_disk: Path) -> None:
    target = tiny_disk / "record.json"
    target.write_text("old")
    with pytest.raises(InputError) as error:
        write_text_atomic(target, "x" * 200_000)
    assert "record.json: cannot be written: No space left on device" in one_line(error)
    assert [path.name for path in tiny_disk.iterdir()] == ["record.json"]
    assert target.read_text() == "old"


def test_full_disk_leaves_nothing_of_a_record(tiny_disk: Path, record: Record) -> None:
    with pytest.raises(InputError, match="No space left"):
        write_record(record, tiny_disk)
    assert list(tiny_disk.iterdir()) == []


def test_file_size_limit(tmp_path: Path) -> None:
    """In a process of its own, because the limit cannot be lifted again."""
    script = textwrap.dedent("""
        import resource, sys
        from bitcliff.errors import InputError
        from bitcliff.record import write_text_atomic
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_text_atomic(sys.argv[1], "x" * 5000)
        except InputError as error:
            print(error)
    """)
    target = tmp_path / "record.json"
    target.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", script, str(target)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": "src"},
    )
    assert done.stdout.count("\n") == 1
    assert "record.json: cannot be written: File too large" in done.stdout
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_interruption_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text_atomic(tmp_path / "record.json", "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["missing/record.json", "a-file/record.json", "a-directory"])
def test_places_that_cannot_be_written(where: str, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    (tmp_path / "a-directory").mkdir()
    (tmp_path / "a-directory" / "kept").write_text("")
    with pytest.raises(InputError) as error:
        write_text_atomic(tmp_path / where, "text")
    assert where in one_line(error)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-directory", "a-file"]


def test_a_long_name_still_gets_its_temporary_file(tmp_path: Path) -> None:
    name = "r" * 250
    write_text_atomic(tmp_path / name, "text")
    assert (tmp_path / name).read_text() == "text"


def written(tmp_path: Path, record: Record, **changes: Any) -> Path:
    fields = json.loads(record_json(record))
    fields.update(changes)
    (tmp_path / "record.json").write_text(json.dumps(fields))
    return tmp_path


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_record(tmp_path)
    assert "holds no record.json; give a run directory" in one_line(error)
    with pytest.raises(InputError) as error:
        read_record(tmp_path / "nowhere")
    assert "no such file; give a run directory or its record.json" in one_line(error)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated(share: float, record: Record, tmp_path: Path) -> None:
    text = record_json(record)
    (tmp_path / "record.json").write_text(text[: int(share * len(text))])
    with pytest.raises(InputError) as error:
        read_record(tmp_path)
    assert "not a whole JSON file" in one_line(error)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"[1, 2]", "no schema_version"),
        (b'{"model": 1}', "no schema_version"),
        (b"null", "no schema_version"),
        (b"[" * 100_000, "not a"),
        (b'{"schema_version": "2.7", "seed": NaN}', "NaN is not JSON"),
        (b'{"schema_version": "2.7", "seed": -Infinity}', "Infinity is not JSON"),
        (b'{"schema_version": "2.7"}', "not a Bitcliff record: provenance: Field required"),
        (b'{"schema_version": "1.2"}', "not a Bitcliff record of schema 1.2: 'subject'"),
        (b'{"schema_version": "one"}', "should be '2.7'"),
        (b'{"schema_version": "\\n1.0"}', "should be '2.7'"),
        (b'{"schema_version": "0.9"}', "assess again"),
        (b'{"schema_version": "2.8"}', "use a newer Bitcliff"),
        (b'{"schema_version": "10.0"}', "use a newer Bitcliff"),
        (b'{"schema_version": null}', "should be '2.7'"),
    ],
)
def test_not_a_record(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_record(tmp_path / "record.json")
    assert says in one_line(error)
    assert "record.json" in str(error.value)


def test_the_error_names_who_wrote_it(record: Record, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"written by Bitcliff 0\.1\.0"):
        read_record(written(tmp_path, record, schema_version="2.8"))


def test_unknown_fields_are_refused(record: Record, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="surprise: Extra inputs are not permitted"):
        read_record(written(tmp_path, record, surprise=1))


def test_figures_of_other_outcomes_are_refused(record: Record, tmp_path: Path) -> None:
    figures = json.loads(record_json(record))["figures"]
    figures["policies"][0]["change"]["p_value"] = 0.5
    with pytest.raises(InputError) as error:
        read_record(written(tmp_path, record, figures=figures))
    assert one_line(error).endswith(
        "inconsistent record: figures.policies[0].change.p_value is 0.5, its outcomes give 1.0"
    )


def test_a_record_of_before_has_its_figures_worked_out(record: Record, tmp_path: Path) -> None:
    figures = json.loads(record_json(record))["figures"]
    figures["policies"][0]["change"]["low_pp"] = -7.0
    fewer = {key: value for key, value in figures.items() if key != "float"}
    for version in SAME_OBSERVATIONS:
        for before in (figures, fewer):
            found = written(tmp_path, record, schema_version=version, figures=before)
            assert read_record(found) == record
    with pytest.raises(InputError, match=r"low_pp is -7\.0, its outcomes give"):
        read_record(written(tmp_path, record, figures=figures))


def test_other_figures_are_another_schema() -> None:
    """Else a record of before is refused for the figures that it lacks: a new one needs a new
    version, and the one before a place among `SAME_OBSERVATIONS`."""
    schema = Figures.model_json_schema()
    parts = {"Figures": schema, **schema["$defs"]}
    names = sorted(f"{part}.{name}" for part in parts for name in parts[part].get("properties", ()))
    digest = hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]
    assert (SCHEMA_VERSION, digest) == ("2.7", "67579d584484")


def test_without_figures_it_is_refused(record: Record, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="inconsistent record: figures is None"):
        read_record(written(tmp_path, record, figures=None))


def test_what_a_library_may_differ_by_is_accepted(record: Record, tmp_path: Path) -> None:
    figures = json.loads(record_json(record))["figures"]
    rate = figures["policies"][0]["accuracy"]
    rate["low"] *= 1 + 1e-9
    assert read_record(written(tmp_path, record, figures=figures)) == record


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(record: Record, tmp_path: Path) -> None:
    write_record(record, tmp_path)
    (tmp_path / "record.json").chmod(0)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        read_record(tmp_path)


def test_a_folder_is_made_so_that_it_stays(
    tmp_path: Path, synced: Callable[[], list[Path]]
) -> None:
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced() == [tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a" / "b")
    assert len(synced()) == 2


def test_where_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as error:
        make_folder(tmp_path / "file" / "a")
    assert "file: the folder cannot be made: File exists" in one_line(error)
