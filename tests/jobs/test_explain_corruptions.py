from pathlib import Path

import torch

from bitcliff.cli.main import run
from bitcliff.records import Record, read_record


def test_a_run_of_digits_is_explained_and_again_with_other_degrees(tmp_path: Path) -> None:
    out = str(tmp_path)
    quick = ["--rounds", "1", "--exchanges", "1", "--evaluations", "0", "--draws", "1"]
    assess = ["assess", "brittle-digits", "--examples", "12", *quick, "--threads", "1"]
    assert run([*assess, "--out", out]) == 0
    explain = ["explain", out, "--only", "corruptions"]
    torch.manual_seed(0)
    assert run([*explain, "--degrees", "5", "--corruption-seeds", "2"]) == 0
    record = read_record(tmp_path)
    assert record.explanation is not None
    found = record.explanation.corruptions
    assert found is not None
    assert found.reason is None
    assert (len(found.cells), len(found.examples), found.seeds) == (9, 12, [0, 1])
    assert "chooses anew" in found.bits["co-trained-5.5"]
    assert record == Record.model_validate_json((tmp_path / "record.json").read_bytes())
    torch.manual_seed(1)  # nothing hangs on the global source of chance
    assert run([*explain, "--degrees", "1,5", "--corruption-seeds", "1"]) == 0
    again = read_record(tmp_path).explanation
    assert again is not None
    assert again.corruptions is not None
    assert len(again.corruptions.cells) == 18
    before = {one.corruption: one.answers for one in found.cells}
    for one in again.corruptions.cells:
        if one.degree == 5:
            for name, answers in one.answers.items():
                assert answers.marks == before[one.corruption][name].marks[:1]
    assert "What do corrupted pictures do?" in (tmp_path / "report.html").read_text()
