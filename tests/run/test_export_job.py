"""What `bitcliff export` refuses before it loads anything."""

from pathlib import Path

import pytest

from bitcliff.errors import InputError
from bitcliff.record import Record, write_record
from bitcliff.run.assess_job import Listener
from bitcliff.run.export_job import ExportJob, run_export

QUIET = Listener(lambda _text: None, lambda _plan: None, lambda *_step: None)


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("no/where.onnx", "No such file or directory"),
        ("record.json/where.onnx", "Not a directory"),
        (".", "it is a folder"),
        ("fine.onnx", "config.json: cannot be read"),  # what comes next
    ],
)
def test_a_file_that_cannot_be_written_is_refused_first(
    record: Record, tmp_path: Path, out: str, why: str
) -> None:
    write_record(record, tmp_path)
    with pytest.raises(InputError, match=why) as error:
        run_export(ExportJob(tmp_path, out=tmp_path / out), QUIET)
    if out != "fine.onnx":
        assert str(error.value).startswith(f"--out {tmp_path / out}: cannot be written: ")
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
