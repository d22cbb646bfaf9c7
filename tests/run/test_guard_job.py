"""A whole run of the guard, and what is refused before anything is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from bitcliff.errors import InputError
from bitcliff.questions.guard.record import REPORT
from bitcliff.questions.guard.statistics import SCORES, flagged_by
from bitcliff.questions.guard.store import GUARD
from bitcliff.run import guard_job
from bitcliff.run.assess_job import AssessJob, Listener
from bitcliff.run.guard_job import GuardJob, run_guard
from bitcliff.types.guard import GuardSettings
from bitcliff.types.presets import Format, preset
from tests.small_networks import chain

QUIET = Listener(lambda _text: None, lambda _plan: None, lambda *_step: None)
ASKED = GuardSettings(bits=5, alpha=0.1, delta=0.2, signals="all")


def network() -> nn.Module:
    """Four points, which few bits hurt."""
    return chain(0, points=4, width=10)


def job(out: Path, settings: GuardSettings = ASKED, **more: object) -> GuardJob:
    what = AssessJob("brittle-digits", "digits", out, command="made by the tests", limit=120)
    return GuardJob(what, settings=settings, **more)  # type: ignore[arg-type]


def test_the_file_flags_in_the_runtime_what_the_record_says(tmp_path: Path) -> None:
    file, data = tmp_path / "guarded.onnx", tmp_path / "x.npz"
    x = torch.randn(150, 4, generator=torch.Generator().manual_seed(0))
    np.savez(data, x=x.numpy())
    settings = ASKED.changed(bits=3, alpha=0.15)
    what = AssessJob(f"py:{__name__}:network", str(data), tmp_path / "run", "", limit=None)
    record = run_guard(GuardJob(what, settings=settings, export=file), QUIET)
    assert GUARD.read(tmp_path / "run") == record
    observed, figures = record.observed, record.figures
    assert figures.same_flags is not None
    assert figures.same_flags.k == figures.same_flags.n == int((observed.part == REPORT).sum())
    # And once more without Bitcliff's own reading of the file.
    session = ort.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == ["scores", "needs_float"]
    scores, flags = session.run(None, {"input": x.numpy()})
    assert flags.dtype == bool
    assert flags.tolist() == flagged_by(observed, SCORES).tolist()
    assert scores.argmax(1).tolist() == observed.prediction.tolist()
    assert 0 < flags.sum() < 150
    broken = np.full((1, 4), np.nan, dtype=np.float32)
    assert session.run(None, {"input": broken})[1].tolist() == [True]


def test_a_shipped_format_is_guarded_and_one_of_ones_own(tmp_path: Path) -> None:
    shipped = ("mxfp4-rceil", preset("mxfp4-rceil"))
    asked = ASKED.changed(bits=None, signals="margin")
    record = run_guard(job(tmp_path / "a", asked, numerics=shipped), QUIET)
    assert (record.observed.numerics, record.observed.isolated) == ("mxfp4-rceil", True)
    own = ("mine", Format.model_validate(shipped[1].model_dump()))
    again = run_guard(job(tmp_path / "b", asked, numerics=own), QUIET)
    assert again.observed.signals["error"].tolist() == record.observed.signals["error"].tolist()
    # Of 21 points the format is for the linear layer alone: the others are not looked at.
    assert int((record.observed.usual_peaks > 0).sum()) == 1


def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    out, shipped = tmp_path / "run", ("nvfp4", preset("nvfp4"))
    cases = [
        (job(out, ASKED.changed(bits=None)), "either --numerics or --bits"),
        (job(out, numerics=shipped), "either --numerics or --bits"),
        (
            job(out, ASKED.changed(bits=None), numerics=shipped, export=tmp_path / "x.onnx"),
            "--export with --numerics nvfp4",
        ),
        (job(out, ASKED.changed(alpha=0.001)), "1609 examples are needed"),
        (job(out, export=tmp_path / "no" / "x.onnx"), "--export"),
    ]
    for wrong, says in cases:
        with pytest.raises(InputError, match=says):
            run_guard(wrong, QUIET)
    assert list(tmp_path.iterdir()) == []
    what = replace(job(out).what, model="brittle-digits", out=tmp_path)
    (tmp_path / "other.txt").write_text("")
    with pytest.raises(InputError, match="the folder is not empty"):
        run_guard(replace(job(out), what=what), QUIET)


def test_what_was_measured_is_kept_where_the_network_cannot_be_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise InputError("cannot be written as ONNX: a reason")

    monkeypatch.setattr(guard_job, "quantized_model", refuse)
    with pytest.raises(InputError, match="a reason"):
        run_guard(job(tmp_path / "run", export=tmp_path / "x.onnx"), QUIET)
    assert GUARD.read(tmp_path / "run").observed.exported is None
    assert not (tmp_path / "x.onnx").exists()
