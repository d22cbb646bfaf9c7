"""The record of `bitcliff batchmates` on disk."""

import json
from pathlib import Path

import pytest

from bitcliff.errors import InputError
from bitcliff.questions.batchmates.record import BATCHMATES_NAME, read_batchmates
from bitcliff.records import record_json, write_text_atomic
from tests.report.test_batchmates import record


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / BATCHMATES_NAME, record_json(record()))
    assert read_batchmates(tmp_path) == record()


def test_what_is_no_such_record_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_batchmates(tmp_path)
    fields = json.loads(record_json(record()))
    (tmp_path / BATCHMATES_NAME).write_text(json.dumps({**fields, "schema_version": "9.0"}))
    with pytest.raises(InputError, match=r"schema_version 9\.0, but this Bitcliff reads 1\.0"):
        read_batchmates(tmp_path)
    settings = {"settings": {**fields["settings"], "batch": 1}}
    (tmp_path / BATCHMATES_NAME).write_text(json.dumps({**fields, **settings}))
    with pytest.raises(InputError, match="batchmates`: settings: --batch must be 2 or more, not 1"):
        read_batchmates(tmp_path)
    del fields["victims"]
    (tmp_path / BATCHMATES_NAME).write_text(json.dumps(fields))
    with pytest.raises(InputError, match="not a record of `bitcliff batchmates`: victims: Field"):
        read_batchmates(tmp_path)
    (tmp_path / BATCHMATES_NAME).write_text("{")
    with pytest.raises(InputError, match="not a whole JSON file"):
        read_batchmates(tmp_path)
