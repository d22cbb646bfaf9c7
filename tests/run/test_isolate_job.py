"""A run that is interrupted, and folders that must not be written into."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from bitcliff.audit.format_runtime import format_runtime
from bitcliff.errors import InputError
from bitcliff.export import float_onnx
from bitcliff.questions.isolation.positive_control import planted_pair, planted_subject
from bitcliff.questions.isolation.store import ISOLATION
from bitcliff.run import isolate_job, runtimes
from bitcliff.run.assess_job import AssessJob, Listener
from bitcliff.run.isolate_job import IsolateJob, run_isolate
from bitcliff.types.presets import preset
from bitcliff.types.runtime_choice import RuntimeChoice
from bitcliff.types.settings import IsolationSettings
from bitcliff.types.subject import Inputs, tensors_sha256

ATTACKING = "Chosen and crafted companions"


def job(out: Path) -> IsolateJob:
    what = AssessJob("brittle-digits", "digits", out, command="made by the tests", limit=5)
    settings = IsolationSettings(batch=4, draws=2, candidates=4, effort=4)
    return IsolateJob(what, settings=settings)


def listener(told: list[str], stop_at: int | None = None) -> Listener:
    def progress(name: str, done: int, _whole: int) -> None:
        told.append(name)
        if (name, done) == (ATTACKING, stop_at):
            raise KeyboardInterrupt

    return Listener(stage=told.append, plan=lambda _plan: None, progress=progress)


@pytest.fixture
def written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each network is written as ONNX once, for that is most of a short run's time."""
    files: dict[str, bytes] = {}

    def write(module: nn.Module, inputs: Inputs) -> bytes:
        key = tensors_sha256(module.state_dict())
        if key not in files:
            files[key] = float_onnx(module, inputs)
        return files[key]

    for home in (isolate_job, runtimes):
        monkeypatch.setattr(home, "float_onnx", write)


@pytest.mark.slow  # the store is held by tests of its own
@pytest.mark.usefixtures("written_once")
def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_isolate(job(tmp_path / "cut"), listener([], stop_at=3))
    assert [path.name for path in (tmp_path / "cut").glob("*.*")] == ["isolate.partial.jsonl"]
    told = list[str]()
    resumed = run_isolate(job(tmp_path / "cut"), listener(told))
    assert "Going on after 3 victims measured before" in told
    assert told.count(ATTACKING) == 2
    assert not (tmp_path / "cut" / "isolate.partial.jsonl").exists()
    whole = run_isolate(job(tmp_path / "whole"), listener([]))
    assert resumed.observed.victims == whole.observed.victims
    assert resumed.figures == whole.figures
    assert resumed.observed.positive_control
    assert ISOLATION.read(tmp_path / "cut") == resumed
    for place, victim in enumerate(whole.observed.victims):
        pair = tmp_path / "whole" / "pairs" / f"{place:05d}.safetensors"
        assert pair.exists() == (victim.companion_image is not None)
        if pair.exists():
            assert sorted(load_file(pair)) == ["companion.input", "victim.input"]


def test_an_unknown_runtime_is_refused_before_the_folder_is_made(tmp_path: Path) -> None:
    other = replace(job(tmp_path / "new"), runtime=RuntimeChoice("ort-dynamc"))
    with pytest.raises(InputError, match="--runtime ort-dynamc: not known; did you mean"):
        run_isolate(other, listener([]))
    assert not (tmp_path / "new").exists()


def test_a_format_that_shares_a_scale_over_the_batch_is_tried_too(tmp_path: Path) -> None:
    settings = IsolationSettings(batch=4, draws=2, candidates=4, effort=0)
    what = replace(job(tmp_path / "out").what, limit=4)
    asked = IsolateJob(what, numerics=("nvfp4", preset("nvfp4")), settings=settings)
    found = run_isolate(asked, listener([]))
    assert found.observed.positive_control
    assert (found.observed.runtime.name, found.observed.runtime.version) == ("nvfp4", "simulated")
    assert found.observed.runtime.quantized == {"linear": 1}
    assert not any(row.flips.k for row in found.figures.situations if row.name.startswith("float"))


def test_a_format_is_simulated_as_an_assessment_has_it() -> None:
    """In batches of copies, and beside others, as the evaluator's own path for formats."""
    subject, x = planted_subject(), torch.cat([planted_pair(), planted_pair().flip(0)])
    runtime = format_runtime("ort-uint8", preset("ort-uint8"), subject, x)
    # By hand: one range over the batch, 255 steps, zero among them; weights of 0 and 1 are exact.
    step = x.max() / 255
    expected = (x / step).round() * step
    weight = subject.module.state_dict()["0.weight"]
    bias = subject.module.state_dict()["0.bias"]
    scores = expected @ (torch.round(weight * 127) / 127).T + bias
    torch.testing.assert_close(runtime.run(x), scores)
    torch.testing.assert_close(runtime.run_float(x), x @ weight.T + bias)
    convolution = replace(subject, module=nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten()).eval())
    with pytest.raises(InputError, match="none is a linear layer's input"):
        format_runtime("nvfp4", preset("nvfp4"), convolution, torch.randn(2, 1, 8))
