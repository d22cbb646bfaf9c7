"""The record of `bitcliff guard` on disk."""

import json
from pathlib import Path
from typing import Any

import pytest

from bitcliff.errors import InputError
from bitcliff.questions.guard.store import GUARD
from bitcliff.record import write_text_atomic
from bitcliff.record.store import check_figures
from tests.questions.damage import another, leaves, with_value
from tests.questions.guard.examples import record


def written() -> dict[str, Any]:
    found = json.loads(GUARD.json(record()))
    assert isinstance(found, dict)
    return found


def refused(folder: Path, fields: object, says: str) -> None:
    (folder / GUARD.file_name).write_text(json.dumps(fields))
    with pytest.raises(InputError, match=says) as told:
        GUARD.read(folder)
    assert "\n" not in str(told.value)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / GUARD.file_name, GUARD.json(record()))
    assert GUARD.read(tmp_path) == record()


def test_no_figure_can_be_changed(tmp_path: Path) -> None:
    fields, right = written(), record().figures.model_dump()
    for way, value in leaves(fields["figures"]):
        wrong = with_value(fields["figures"], way, another(value))
        with pytest.raises(InputError, match="figures"):
            check_figures(wrong, right, "a record")
    refused(tmp_path, {**fields, "figures": wrong}, "inconsistent record: figures")


def test_an_example_of_another_part_or_otherwise_decided_is_noticed(tmp_path: Path) -> None:
    fields = written()
    for name in ("part", "prediction"):
        wrong = another(fields[name])
        refused(tmp_path, {**fields, name: wrong}, "inconsistent record")
    without = {key: one for key, one in fields.items() if key != "signals"}
    refused(tmp_path, without, "not a Bitcliff record: signals: Field")
