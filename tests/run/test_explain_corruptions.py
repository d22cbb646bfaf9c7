from pathlib import Path

import torch

from bitcliff.cli.main import run
from bitcliff.questions.corruptions.record import CorruptionsObserved
from bitcliff.questions.kinds import KINDS
from bitcliff.record import read_record, record_json


def _observed(run: Path) -> CorruptionsObserved:
    found = read_record(run, KINDS).observed_by("corruptions", CorruptionsObserved)
    assert found is not None
    return found


def test_a_run_of_digits_is_explained_and_again_with_other_degrees(tmp_path: Path) -> None:
    out = str(tmp_path)
    quick = ["--rounds", "1", "--exchanges", "1", "--evaluations", "0", "--draws", "1"]
    assess = ["assess", "brittle-digits", "--examples", "12", *quick, "--threads", "1"]
    assert run([*assess, "--out", out]) == 0
    explain = ["explain", out, "--only", "corruptions"]
    torch.manual_seed(0)
    assert run([*explain, "--degrees", "5", "--corruption-seeds", "2"]) == 0
    found = _observed(tmp_path)
    assert found.reason is None
    assert (len(found.cells), len(found.examples), found.seeds) == (9, 12, [0, 1])
    assert "chooses anew" in found.bits["co-trained-5.5"]
    assert record_json(read_record(tmp_path, KINDS)) == (tmp_path / "record.json").read_text()
    torch.manual_seed(1)  # nothing hangs on the global source of chance
    assert run([*explain, "--degrees", "1,5", "--corruption-seeds", "1"]) == 0
    again = _observed(tmp_path)
    assert len(again.cells) == 18
    before = {one.corruption: one.marks for one in found.cells}
    for one in again.cells:
        if one.degree == 5:
            for name, texts in one.marks.items():
                assert texts == before[one.corruption][name][:1]
    assert "What do corrupted images do?" in (tmp_path / "report.html").read_text()
