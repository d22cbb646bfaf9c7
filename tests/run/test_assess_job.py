import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bitcliff.errors import InputError, NumericError
from bitcliff.points import Plan
from bitcliff.questions.kinds import KINDS
from bitcliff.record import Measured, read_record
from bitcliff.report.basis import effort_note
from bitcliff.run import allowed_time, assess_job
from bitcliff.run.assess_job import AssessJob, Listener, run_assess
from bitcliff.run.measured_before import MeasuredBefore
from bitcliff.run.stored_job import stored_job
from bitcliff.types.options import DataOptions, ModelOptions
from bitcliff.types.settings import AssessSettings
from tests.contract import recompute
from tests.contract.subjects import SETTINGS
from tests.small_networks import chain

FILES = ["config.json", "examples.csv", "junit.xml", "record.json", "report.html"]


class Notes:
    """Hears what a listener hears."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.plans: list[Plan] = []
        self.steps: list[str] = []
        self.judged: list[str] = []

    def listener(self) -> Listener:
        return Listener(
            self.stages.append,
            self.plans.append,
            lambda name, *_: self.steps.append(name),
            self.judged.append,
        )


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AssessJob:
    """A small network of the user's own and twelve examples, in a working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_network.py").write_text(
        "from tests.small_networks import chain, NotFinite, Pointless\n"
        "def net(): return chain(0, points=4, width=10)\n"
        "def other(): return chain(1, points=4, width=10)\n"
    )
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    y = chain(0, points=4, width=10)(x).argmax(1)
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=y.numpy())
    return AssessJob(
        "py:own_network:net", "data.npz", Path("run"), "bitcliff ...", settings=SETTINGS
    )


def figures(directory: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((directory / "record.json").read_text())
    return recompute.timeless(record)


def test_a_run_leaves_its_five_files_and_no_other(job: AssessJob) -> None:
    notes = Notes()
    record, verdict = run_assess(job, notes.listener())
    assert sorted(path.name for path in job.out.iterdir()) == FILES
    assert read_record(job.out, KINDS) == record
    assert verdict.status in {"pass", "fail", "inconclusive"}
    config = json.loads((job.out / "config.json").read_text())
    assert config["settings"]["bits"] == [2, 3, 4, 5]
    assert config["data_sha256"] == record.provenance.data_sha256
    assert config["weights_sha256"] == record.provenance.weights_sha256
    assert notes.stages == [
        "Loading py:own_network:net",
        "Loading data.npz",
        "Finding the quantization points",
    ]
    assert notes.judged == ["one class, that of the largest score"]
    assert [len(plan) for plan in notes.plans] == [4]
    assert notes.steps[-1] == "done"


def test_the_same_job_gives_the_same_record(job: AssessJob) -> None:
    for name in ("one", "two"):
        run_assess(replace(job, out=Path(name)), Notes().listener())
    assert figures(Path("one")) == figures(Path("two"))


def break_down(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    put, count = MeasuredBefore.put, 0

    def counting(self: MeasuredBefore, measured: Measured) -> None:
        nonlocal count
        put(self, measured)
        count += 1
        if count == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(MeasuredBefore, "put", counting)


def test_an_interrupted_run_goes_on_to_the_same_record(
    job: AssessJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_assess(replace(job, out=Path("whole")), Notes().listener())
    with monkeypatch.context() as patch:
        break_down(patch, after=7)
        with pytest.raises(KeyboardInterrupt):
            run_assess(job, Notes().listener())
    assert [path.name for path in job.out.iterdir()] == ["partial.jsonl"]
    notes = Notes()
    run_assess(job, notes.listener())
    assert notes.stages[-1] == "Going on after 7 steps taken before"
    assert figures(job.out) == figures(Path("whole"))
    assert sorted(path.name for path in job.out.iterdir()) == FILES


@pytest.mark.parametrize("change", ["code", "data", "seed", "threshold"])
def test_only_what_still_holds_is_taken_up(
    job: AssessJob, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    with monkeypatch.context() as patch:
        break_down(patch, after=5)
        with pytest.raises(KeyboardInterrupt):
            run_assess(job, Notes().listener())
    if change == "code":  # the same weights, another network
        source = Path("own_network.py").read_text()
        source += (
            "class Twice(type(net())):\n  def forward(self, x): return 2 * super().forward(x)\n"
        )
        source += "def net(old=net):\n  found = Twice(*old())\n  return found.eval()\n"
        Path("own_network.py").write_text(source)
        del sys.modules["own_network"]
    elif change == "data":
        arrays = dict(np.load("data.npz"))
        np.savez("data.npz", **{**arrays, "x": arrays["x"] + 1})
    elif change == "seed":
        job = replace(job, settings=SETTINGS.changed(seed=9))
    else:
        job = replace(job, settings=SETTINGS.changed(max_drop=50.0))
    notes = Notes()
    run_assess(job, notes.listener())
    assert any("Going on" in stage for stage in notes.stages) == (change == "threshold")
    fresh = replace(job, out=Path("fresh"))
    run_assess(fresh, Notes().listener())
    assert figures(job.out) == figures(fresh.out)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": "py:own_network:nothing"}, InputError, "nothing"),
        ({"model": "py:own_network:NotFinite"}, InputError, "."),
        ({"data": "missing.npz"}, InputError, "missing.npz: no such file"),
        ({"weights": Path("missing.pt")}, InputError, "missing.pt: no such file"),
        (
            {"settings": SETTINGS.changed(bits=(4, 8), budgets=(5.4,))},
            InputError,
            "feasible totals",
        ),
        ({"limit": 1}, InputError, "two examples"),
    ],
    ids=["model", "shape", "data", "weights", "budget", "one example"],
)
def test_bad_input_leaves_no_trace(
    job: AssessJob, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run_assess(replace(job, **change), Notes().listener())
    assert not job.out.exists()


def test_a_network_that_fails_in_float_leaves_no_trace(job: AssessJob) -> None:
    np.savez("digits.npz", x=np.random.default_rng(0).random((4, 1, 8, 8), np.float32))
    broken = replace(job, model="py:own_network:NotFinite", data="digits.npz")
    with pytest.raises(NumericError, match="NaN or infinity in float already"):
        run_assess(broken, Notes().listener())
    assert not job.out.exists()


def test_a_foreign_folder_is_refused_before_anything_is_loaded(job: AssessJob) -> None:
    job.out.mkdir()
    (job.out / "thesis.tex").write_text("years of work")
    notes = Notes()
    with pytest.raises(InputError, match="holds no run"):
        run_assess(job, notes.listener())
    assert notes.stages == []
    assert [path.name for path in job.out.iterdir()] == ["thesis.tex"]


def test_an_old_record_stays_whole_until_the_new_one_is(
    job: AssessJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_assess(job, Notes().listener())
    before = {name: (job.out / name).read_bytes() for name in FILES}
    other = replace(job, settings=SETTINGS.changed(seed=5))
    break_down(monkeypatch, after=3)
    with pytest.raises(KeyboardInterrupt):
        run_assess(other, Notes().listener())
    assert {name: (job.out / name).read_bytes() for name in FILES} == before


def test_a_report_that_cannot_be_written_loses_no_measurement(
    job: AssessJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("report.html: cannot be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(assess_job, "write_run_report", refuse)
        with pytest.raises(InputError, match="No space left"):
            run_assess(job, Notes().listener())
    notes = Notes()
    run_assess(job, notes.listener())
    assert notes.stages[-1].startswith("Going on after 18 steps")
    assert sorted(path.name for path in job.out.iterdir()) == FILES


def test_subsampling_is_told(job: AssessJob) -> None:
    record, _ = run_assess(replace(job, limit=8), Notes().listener())
    assert (record.subject.n_examples, record.subject.n_available) == (8, 12)


def test_the_first_layer_is_a_point_where_the_input_is_no_image(job: AssessJob) -> None:
    asked = replace(job, settings=job.settings.changed(include_stem=None))
    record, _ = run_assess(asked, Notes().listener())
    first = record.subject.points[0]
    assert (first.name, first.quantized, record.settings.include_stem) == ("0", True, True)
    kept, _ = stored_job(job.out)
    assert kept.settings.include_stem is True


def test_features_of_one_column_are_no_images(job: AssessJob, tmp_path: Path) -> None:
    (tmp_path / "own_network.py").write_text(
        "from torch.nn import Flatten, Sequential\n"
        "from tests.small_networks import chain\n"
        "def net(): return Sequential(Flatten(), chain(0, points=4, width=10))\n"
    )
    with np.load("data.npz") as flat:
        np.savez("data.npz", x=flat["x"].reshape(12, 2, 2, 1), y=flat["y"])
    asked = replace(job, settings=job.settings.changed(include_stem=None))
    assert run_assess(asked, Notes().listener())[0].settings.include_stem is True


def test_image_options_have_no_effect_on_arrays_whatever_their_labels(job: AssessJob) -> None:
    labelled = DataOptions(label_map={str(label): label for label in range(10)})
    pictured = ModelOptions(image_size=8, mean=(0.5,))
    asked = replace(job, model_options=pictured, data_options=labelled)
    with pytest.raises(InputError, match=r"^--image-size has no effect: data\.npz is taken as it"):
        run_assess(asked, Notes().listener())


def test_the_time_that_a_run_took_begins_with_the_command(job: AssessJob) -> None:
    """What loads slowly counts too."""
    source = Path("own_network.py").read_text()
    Path("own_network.py").write_text(f"import time\ntime.sleep(2.1)\n{source}")
    before = datetime.now(UTC)
    record, _ = run_assess(job, Notes().listener())
    started = datetime.fromisoformat(record.provenance.started)
    assert started < before + timedelta(seconds=2)


def test_effort_follows_from_the_time_and_is_not_chosen_again_after_a_kill(
    job: AssessJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = replace(job, settings=AssessSettings(budgets=(4.0,), uniform=(8,), minutes=1e-6))
    notes = Notes()

    def killed(name: str, *_work: int) -> None:
        if name == "random-4":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_assess(timed, replace(notes.listener(), progress=killed))
    assert any("too short even for the least effort" in stage for stage in notes.stages)
    with monkeypatch.context() as patched:
        patched.setattr(allowed_time, "seconds_a_pass", None)  # whoever times again fails
        record, _ = run_assess(timed, notes.listener())
    found = record.settings
    assert (found.minutes, found.draws, found.rounds) == (1e-6, 3, 2)
    assert (found.exchanges, found.evaluations) == (4, 8)
    # Whoever explains the run looks as hard, and the counts alone give the same outcomes.
    assert stored_job(job.out)[0].settings.rounds == 2
    given = found.changed(minutes=None, margin="auto", batch_size=None)
    again, _ = run_assess(replace(job, settings=given), Notes().listener())
    assert [*again.outcomes.items()] == [*record.outcomes.items()]
    assert again.answers == record.answers
    assert "17 % of the usual effort, what fits into 1e-06 min" in effort_note(record)
    assert "--rounds 2 --exchanges 4 --evaluations 8 --draws 3" in effort_note(record)
    assert not effort_note(again)
