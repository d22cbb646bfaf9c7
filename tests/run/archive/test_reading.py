"""What a run folder holds, as rows; every kind of run is in `tests/contract/test_damage.py`."""

import json
from pathlib import Path
from typing import Any

import pytest

from bitcliff.errors import InputError
from bitcliff.record import Record, write_record
from bitcliff.run.archive.reading import mark_of, read_run, run_folders
from bitcliff.stats import rate


def trained(folder: Path, result: dict[str, Any] | None) -> Path:
    folder.mkdir(parents=True)
    config = {"seeds": [0], "model": "zoo:resnet8", "data": "digits"}
    (folder / "config.json").write_text(json.dumps(config))
    if result is not None:
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def pair() -> dict[str, Any]:
    accuracy = rate(90, 100).model_dump()
    cells = [
        {"network": "brittle", "policy": one, "accuracy": accuracy} for one in ("float", "brittle")
    ]
    return {"kind": "pair", "results": [{"seed": 3, "cells": cells}]}


def test_rows_are_those_of_the_record(record: Record, tmp_path: Path) -> None:
    write_record(record, tmp_path)
    run = read_run(tmp_path, "assess")
    figures = json.loads((tmp_path / "record.json").read_text())["figures"]
    assert (run.command, run.examples, run.refused) == ("assess", 40, None)
    assert run.weights_sha256 == record.provenance.weights_sha256
    in_float, *others = run.figures
    assert (in_float.name, in_float.k) == ("float", figures["float"]["accuracy"]["k"])
    for row, policy in zip(others, figures["policies"], strict=True):
        assert (row.name, row.threat) == (policy["name"], policy["threat"])
        assert {key: getattr(row, key) for key in policy["accuracy"]} == policy["accuracy"]
        assert row.change_pp == policy["change"]["difference_pp"]
        assert row.p_holm == policy["change"]["p_holm"]
    judged = {row.name for row in others if row.verdict is not None}
    assert judged == {p["name"] for p in figures["policies"] if p["threat"] == "allocation"}


def test_a_training_has_a_row_for_each_share(tmp_path: Path) -> None:
    run = read_run(trained(tmp_path / "run", pair()), "train")
    assert (run.command, run.also, run.model, run.examples) == ("train", "pair", "zoo:resnet8", 100)
    assert [(row.name, row.threat, row.counted, row.k) for row in run.figures] == [
        ("seed-3 brittle float", "none", "right", 90),
        ("seed-3 brittle brittle", "co-trained", "right", 90),
    ]


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [
        (
            "k",
            91,
            "seed-3 brittle float accuracy: inconsistent record: figures.value is 0.9, its",
        ),
        ("low", 0.1, "figures.low is 0.1, its outcomes give 0.8"),
        ("n", 1, "no share of a count"),
        ("high", "much", "no share of a count"),
    ],
)
def test_a_share_that_is_not_its_counts_is_refused(
    tmp_path: Path, way: str, value: object, words: str
) -> None:
    wrong = json.loads(json.dumps(pair()))
    wrong["results"][0]["cells"][0]["accuracy"][way] = value
    refused = read_run(trained(tmp_path / "run", wrong), "train").refused or ""
    assert words in refused
    assert "\n" not in refused


def test_what_has_not_ended_or_is_damaged_says_so(tmp_path: Path) -> None:
    unended = trained(tmp_path / "unended", None)
    assert "its training has not ended" in (read_run(unended, "train").refused or "")
    for number, text in enumerate(["{", "[]"]):
        damaged = trained(tmp_path / str(number), {})
        (damaged / "result.json").write_text(text)
        assert "result.json: not " in (read_run(damaged, "train").refused or "")
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "partial.jsonl").write_text("{}")
    assert "its last run was interrupted" in (read_run(tmp_path / "killed", "assess").refused or "")


def test_folders_are_found_below_and_told_apart(record: Record, tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "config.json").write_text("{}")
    write_record(record, tmp_path / "a" / "deep")
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "guard.json").write_text("{}")
    trained(tmp_path / "z", pair())
    found = [
        (str(folder.relative_to(tmp_path)), command) for folder, command in run_folders([tmp_path])
    ]
    assert found == [("a/deep", "assess"), ("guard", "guard"), ("z", "train")]


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, words in (("file", "not a folder"), ("nosuch", "no such folder")):
        with pytest.raises(InputError, match=f"{name}: {words}; give folders that hold runs"):
            list(run_folders([tmp_path / name]))


def test_the_mark_changes_with_every_byte_and_with_what_lies_beside(
    record: Record, tmp_path: Path
) -> None:
    write_record(record, tmp_path)
    before = mark_of(tmp_path)
    file = tmp_path / "record.json"
    text = file.read_text()
    file.write_text(text.replace("0", "1", 1))
    assert mark_of(tmp_path) != before
    file.write_text(text)
    assert mark_of(tmp_path) == before
    (tmp_path / "partial.jsonl").touch()
    assert mark_of(tmp_path) != before
