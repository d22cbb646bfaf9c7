"""The folder of a training run: held by one, fixed in its configuration, its metrics in step."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bitcliff.errors import InputError
from bitcliff.run.training_run import MetricsFile, fix_config, locked


def test_a_held_folder_says_by_whom_and_is_free_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    with (
        locked(folder),
        pytest.raises(InputError, match=r"in use by process \d+ on "),
        locked(folder),
    ):
        pass
    with locked(folder):
        pass


def test_an_error_inside_is_not_taken_for_a_held_folder(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError), locked(tmp_path):
        raise BlockingIOError


def refused(folder: Path, why: str, trained: str | None = None) -> None:
    with locked(folder):
        fix_config(folder, {"epochs": 3}, resume=False)
        if trained:
            (folder / trained).mkdir()
        raise InputError(why)


def test_what_was_refused_before_training_leaves_no_trace(tmp_path: Path) -> None:
    new, old = tmp_path / "deep" / "new", tmp_path / "old"
    old.mkdir()
    (old / "teacher.yaml").write_text("")
    for folder in (new, old):
        with pytest.raises(InputError, match="no such layer"):
            refused(folder, "no such layer")
    assert list(tmp_path.iterdir()) == [old]
    assert [file.name for file in old.iterdir()] == ["teacher.yaml"]


def test_what_another_run_wrote_is_left_when_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("of an assessment")
    with pytest.raises(InputError, match="holds a run already"):
        refused(tmp_path, "never reached")
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]
    assert (tmp_path / "config.json").read_text() == "of an assessment"


def test_what_was_trained_before_an_error_is_kept(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="endpoint"):
        refused(tmp_path, "endpoint is down", trained="seed-0")
    assert (tmp_path / "config.json").exists()
    assert (tmp_path / "seed-0").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="file: the folder cannot be made"),
        locked(tmp_path / "file" / "run"),
    ):
        pass


def test_a_run_is_resumed_with_its_own_configuration_alone(tmp_path: Path) -> None:
    config = {"epochs": 3, "optimiser": {"lr": 0.1}}
    fix_config(tmp_path, config, resume=False)
    assert json.loads((tmp_path / "config.json").read_text()) == config
    fix_config(tmp_path, dict(reversed(config.items())), resume=True)
    with pytest.raises(InputError, match="holds a run already; give --resume"):
        fix_config(tmp_path, config, resume=False)
    with pytest.raises(InputError, match="epochs was 3, is 4; new was None, is 1"):
        fix_config(tmp_path, {**config, "epochs": 4, "new": 1}, resume=True)
    for damaged in ("{", "7", ""):
        (tmp_path / "config.json").write_text(damaged)
        with pytest.raises(InputError, match="damaged"):
            fix_config(tmp_path, config, resume=True)


def test_what_a_killed_write_left_is_cleared_away_in_this_run_alone(tmp_path: Path) -> None:
    left = ".network.safetensors.0123456789ab.tmp"
    own = [tmp_path / left, tmp_path / "seed-0" / left, tmp_path / "seed-1" / "robust" / left]
    others = [tmp_path / "other" / "seed-0" / left, tmp_path / ".notes.tmp"]
    for file in own + others:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("half")
    with locked(tmp_path):
        assert [file.exists() for file in own + others] == [False] * 3 + [True] * 2


def test_a_line_replaces_those_of_its_step_and_later_ones(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "seed-0")
    for epoch in (1, 2, 3):
        metrics.add({"epoch": epoch, "step": 10 * epoch})
    path = tmp_path / "seed-0" / "metrics.jsonl"
    path.write_text(path.read_text() + '{"epoch": 4, "st')  # as on a damaged disk
    metrics.add({"epoch": 3, "step": 30})
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2, 3]
    metrics.add({"epoch": 2, "step": 20})  # measured again by a run that went further back
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2]


def test_metrics_are_on_disk_when_their_epoch_is_saved(
    tmp_path: Path, synced: Callable[[], list[Path]]
) -> None:
    MetricsFile(tmp_path / "seed-0").add({"epoch": 1, "step": 10})
    *folder, file, directory = synced()
    assert folder == [tmp_path]
    assert file.name.startswith(".metrics.jsonl.")
    assert directory == tmp_path / "seed-0"
