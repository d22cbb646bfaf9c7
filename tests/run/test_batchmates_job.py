"""A run that is interrupted, and folders that must not be written into."""

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from bitcliff.errors import InputError
from bitcliff.questions.batchmates.store import read_batchmates
from bitcliff.run.assess_job import AssessJob, Listener
from bitcliff.run.batchmates_job import BatchmatesJob, run_batchmates
from bitcliff.types.runtime_choice import RuntimeChoice
from bitcliff.types.settings import BatchmatesSettings

ATTACKING = "Chosen and crafted companions"


def job(out: Path) -> BatchmatesJob:
    what = AssessJob("brittle-digits", "digits", out, command="made by the tests", limit=8)
    settings = BatchmatesSettings(batch=4, draws=2, candidates=4, effort=4)
    return BatchmatesJob(what, settings=settings)


def listener(told: list[str], stop_at: int | None = None) -> Listener:
    def progress(name: str, done: int, _whole: int) -> None:
        told.append(name)
        if (name, done) == (ATTACKING, stop_at):
            raise KeyboardInterrupt

    return Listener(stage=told.append, plan=lambda _plan: None, progress=progress)


def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_batchmates(job(tmp_path / "cut"), listener([], stop_at=5))
    assert [path.name for path in (tmp_path / "cut").glob("*.*")] == ["batchmates.partial.jsonl"]
    told = list[str]()
    resumed = run_batchmates(job(tmp_path / "cut"), listener(told))
    assert "Going on after 5 victims measured before" in told
    assert told.count(ATTACKING) == 3
    assert not (tmp_path / "cut" / "batchmates.partial.jsonl").exists()
    whole = run_batchmates(job(tmp_path / "whole"), listener([]))
    assert resumed.victims == whole.victims
    assert resumed.figures == whole.figures
    assert resumed.observed.positive_control
    assert read_batchmates(tmp_path / "cut") == resumed
    for place, victim in enumerate(whole.victims):
        pair = tmp_path / "whole" / "pairs" / f"{place:05d}.safetensors"
        assert pair.exists() == (victim.companion_image is not None)
        if pair.exists():
            assert sorted(load_file(pair)) == ["companion.input", "victim.input"]


def test_an_unknown_runtime_is_refused_before_the_folder_is_made(tmp_path: Path) -> None:
    other = replace(job(tmp_path / "new"), runtime=RuntimeChoice("ort-dynamc"))
    with pytest.raises(InputError, match="--runtime ort-dynamc: not known; did you mean"):
        run_batchmates(other, listener([]))
    assert not (tmp_path / "new").exists()
