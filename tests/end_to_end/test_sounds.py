"""Networks of sound as a user types them: a Hugging Face folder, and a folder of sounds."""

from pathlib import Path

import pytest

from bitcliff.cli.main import run
from bitcliff.questions.kinds import KINDS
from bitcliff.questions.lengths.record import Lengths
from bitcliff.record import read_record
from tests.sound_models import classifier, save_model, save_tones, speller

QUICK = (
    "--uniform 8 --budget 4 --rounds 1 --exchanges 1 --evaluations 0 --draws 1 --threads 1 "
    "--examples 12"
)


def test_a_classifier_of_sounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(classifier(False), tmp_path / "hf")
    save_tones(tmp_path / "tones", 8)
    monkeypatch.chdir(tmp_path)
    code = run(f"assess hf:hf --data tones {QUICK} --out run".split())
    told = capsys.readouterr()
    assert code == 0, told.out
    assert "resampled from 8000 to 4000 Hz" in " ".join(told.err.split())
    record = read_record(tmp_path / "run", KINDS)
    assert record.coverage.complete
    assert record.subject.class_names == ["low", "middle", "high"]
    assert "resampled from 8000 to 4000 Hz" in record.subject.preprocessing
    kinds = [point.kind for point in record.subject.points]
    assert kinds.count("conv1d") == 3  # two that hear, and one that tells positions
    assert record.float_.accuracy is not None
    assert record.float_.accuracy.k >= 11
    by_name = {policy.name: policy for policy in record.policies}
    assert {"uniform-8", "random-4", "worst-4"} <= by_name.keys()
    line = "explain run --only lengths --policy uniform-8 --lengths 480,800"
    assert run(line.split()) == 0, capsys.readouterr()
    lengths = read_record(tmp_path / "run", KINDS).answer("lengths", Lengths)
    assert lengths is not None
    assert (lengths.refused, lengths.shortest, lengths.longest) == ([], 400, 480)
    assert [one.length for one in lengths.at] == [480, 800, 480]


def test_a_network_that_spells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(speller(), tmp_path / "hf")
    save_tones(tmp_path / "tones", 4, of=3)
    monkeypatch.chdir(tmp_path)
    code = run(f"assess hf:hf --data tones {QUICK} --out run".split())
    told = capsys.readouterr().out
    assert code == 0, told
    assert "whether the string that is read (by CTC) is float's own" in " ".join(told.split())
    record = read_record(tmp_path / "run", KINDS)
    assert record.subject.class_names == ["as in float", "otherwise"]
    assert record.at_risk
    assert set(record.table.waves) == set(record.at_risk)
    # Three tones of one of three lengths.
    assert {round(wave.seconds, 2) for wave in record.table.waves.values()} <= {0.3, 0.33, 0.36}
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count('aria-label="A sound of 0.3') == len(record.at_risk)
    assert "Sounds at risk" in page
    assert record.coverage.complete
    assert record.float_.accuracy is None
