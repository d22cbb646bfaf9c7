"""A training command: who hears what, and TensorBoard's curves across a stop."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bitcliff.errors import InputError, MissingExtra
from bitcliff.run.run_directory import check_run_directory
from bitcliff.run.train_config import DistillConfig, TeacherConfig
from bitcliff.run.train_job import Run, TrainListener, run_distill, run_teacher
from bitcliff.train.loop import Metrics, Stopped


class Ear:
    """Hears all, and stops one run at one step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.steps: list[tuple[Run, int, int]] = []
        self.epochs: list[tuple[Run, Metrics]] = []
        self.listener = TrainListener(
            on_note=lambda _line: None,
            on_step=lambda run, step, steps, _parts: self.steps.append((run, step, steps)),
            should_stop=lambda: self.steps[-1][1] == stop_at,
            on_epoch=lambda run, found: self.epochs.append((run, found)),
        )


def config(**changes: Any) -> TeacherConfig:
    fields = {"model": "zoo:digits", "data": "digits", "epochs": 2, "batch_size": 256}
    return TeacherConfig.model_validate(fields | {"save_every": 2} | changes)


def test_the_listener_hears_of_every_step_and_validation_of_every_run(tmp_path: Path) -> None:
    ear = Ear()
    result = run_teacher(config(seeds=[3, 5]), tmp_path / "run", False, ear.listener)
    runs = [Run("run/seed-3", 1, 2), Run("run/seed-5", 2, 2)]
    assert ear.steps == [(run, step, 8) for run in runs for step in range(1, 9)]
    assert [run for run, _ in ear.epochs] == [runs[0], runs[0], runs[1], runs[1]]
    for seed, (_, found) in zip((3, 3, 5, 5), ear.epochs, strict=True):
        lines = (tmp_path / "run" / f"seed-{seed}" / "metrics.jsonl").read_text().splitlines()
        assert found["float"] in [json.loads(line)["float"] for line in lines]
    assert [one["seed"] for one in result["results"]] == [3, 5]
    assert not list(tmp_path.rglob("*tfevents*"))


def test_the_curves_of_a_stopped_run_go_on_without_a_point_twice(tmp_path: Path) -> None:
    wanted = config(tensorboard=True)
    with pytest.raises(Stopped):
        run_teacher(wanted, tmp_path, False, Ear(stop_at=7).listener)
    # As if killed at step 7, with step 6 the last that was saved.
    for file in (tmp_path / "seed-0" / "checkpoints").glob("*7.json"):
        file.unlink()
    ear = Ear()
    run_teacher(wanted, tmp_path, True, ear.listener)
    assert [step for _, step, _ in ear.steps] == [7, 8]
    assert len(list(tmp_path.rglob("*tfevents*"))) == 2
    read = EventAccumulator(str(tmp_path / "seed-0"))
    read.Reload()
    losses = read.Scalars("loss/cross_entropy")
    assert [point.step for point in losses] == list(range(1, 9))
    metrics = [
        json.loads(line)
        for line in (tmp_path / "seed-0" / "metrics.jsonl").read_text().splitlines()
    ]
    found = [(point.step, point.value) for point in read.Scalars("validation/float")]
    assert found == [(entry["step"], pytest.approx(entry["float"])) for entry in metrics]
    assert [step for step, _ in found] == [4, 8]


def test_without_tensorboard_nothing_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtra, match=r"tensorboard: true needs .*'bitcliff\[tensorboard\]'"):
        run_teacher(config(tensorboard=True), tmp_path / "run", False, Ear().listener)
    assert not (tmp_path / "run").exists()


def test_what_the_first_step_refuses_leaves_no_folder(tmp_path: Path) -> None:
    fields = config(tensorboard=True).model_dump(exclude={"label_smoothing"})
    asked = DistillConfig(**fields, teacher="base-digits", answers="probabilities")
    with pytest.raises(InputError, match=r"gives no probabilities: set answers: logits$"):
        run_distill(asked, tmp_path / "run", False, Ear().listener)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changes", [{"precision": "bf16"}, {"devices": 2}, {"tensorboard": True}])
def test_a_run_is_resumed_on_what_it_began_on(tmp_path: Path, changes: dict[str, Any]) -> None:
    run_teacher(config(epochs=1), tmp_path, False, Ear().listener)
    assert json.loads((tmp_path / "config.json").read_text())["runs_on"] == "cpu"
    with pytest.raises(InputError, match=f"{next(iter(changes))} was .*, is "):
        run_teacher(config(epochs=1, **changes), tmp_path, True, Ear().listener)
    with pytest.raises(InputError, match="holds a run of `bitcliff train`; name another"):
        check_run_directory(tmp_path, "assess")
