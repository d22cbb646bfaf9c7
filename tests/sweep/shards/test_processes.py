"""Audits on processes of this machine: the record is that of one process, whatever befalls them."""

import multiprocessing
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from bitcliff.errors import InputError
from bitcliff.run.assess_job import AssessJob
from bitcliff.sweep.shards import processes
from bitcliff.sweep.shards.farm import Farm
from bitcliff.sweep.shards.open import on_processes
from bitcliff.types.settings import AssessSettings
from tests.end_to_end.commands import BITCLIFF, environment
from tests.sweep.shards import audits


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return audits.record(audits.job(tmp_path_factory.mktemp("run") / "alone"))


@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_worker_killed_midway_changes_nothing(tmp_path: Path, count: int) -> None:
    alone, asked = (audits.job(tmp_path / name, audits.SMALL, 12) for name in ("alone", "run"))
    kill = audits.Once(lambda: audits.signal_one(signal.SIGKILL))
    assert audits.record(asked, on_processes(count), kill) == audits.record(alone)
    assert kill.done
    assert multiprocessing.active_children() == []


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_record_is_that_of_one_process(alone: str, tmp_path: Path, count: int) -> None:
    assert audits.record(audits.job(tmp_path / "run"), on_processes(count)) == alone


@pytest.mark.slow
def test_one_that_is_stopped_is_not_waited_for(
    alone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_TO_END", 0.1)
    farms = list[Farm]()
    stop = audits.Once(lambda: audits.signal_one(signal.SIGSTOP))
    found = audits.record(audits.job(tmp_path / "run"), on_processes(2, farms.append), stop)
    assert stop.done
    assert found == alone
    assert farms[0].again > 0


@pytest.mark.slow
def test_mixes_of_formats_sum_their_gradients_to_the_same_bits(tmp_path: Path) -> None:
    alone = audits.record(audits.job(tmp_path / "alone", audits.MIXED))
    assert audits.record(audits.job(tmp_path / "run", audits.MIXED), on_processes(3)) == alone


def of_images(out: Path) -> AssessJob:
    """EfficientNet-Lite0 on its images."""
    settings = AssessSettings(
        budgets=(7.0,), uniform=(8,), rounds=1, exchanges=2, evaluations=2, draws=2, batch_size=4
    )
    return AssessJob("efficientnet-lite0", "imagenet-20", out, "...", limit=12, settings=settings)


@pytest.fixture(scope="module")
def alone_on_images(tmp_path_factory: pytest.TempPathFactory) -> str:
    return audits.record(of_images(tmp_path_factory.mktemp("run") / "alone"))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_real_network_too(alone_on_images: str, tmp_path: Path, count: int) -> None:
    assert audits.record(of_images(tmp_path / "run"), on_processes(count)) == alone_on_images


@pytest.mark.slow
def test_a_killed_driver_goes_on_with_any_number_of_workers(alone: str, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        audits.record(audits.job(tmp_path / "run"), on_processes(2), audits.Once(die))
    assert (tmp_path / "run" / "partial.jsonl").exists()
    assert multiprocessing.active_children() == []
    assert audits.record(audits.job(tmp_path / "run"), on_processes(1)) == alone


@pytest.mark.slow
def test_a_worker_that_sees_another_network_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module whose weights are drawn anew in each process."""
    (tmp_path / "drawn.py").write_text(
        "import torch\n"
        "def network():\n"
        "    torch.seed()\n"
        "    layers = [torch.nn.Flatten(), torch.nn.Linear(64, 10), torch.nn.Linear(10, 10)]\n"
        "    return torch.nn.Sequential(*layers)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    asked = AssessJob(
        "py:drawn:network", "digits", tmp_path / "run", "", limit=8, settings=audits.SMALL
    )
    with pytest.raises(InputError, match="a worker prepares another run: its weights_sha256 is "):
        audits.record(asked, on_processes(1))
    assert not (tmp_path / "run" / "record.json").exists()


@pytest.mark.slow
def test_workers_end_when_the_driver_is_killed(tmp_path: Path) -> None:
    driver = subprocess.Popen(
        [BITCLIFF, "assess", "brittle-digits", "--workers", "2", "--out", str(tmp_path / "run")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    process, deadline = psutil.Process(driver.pid), time.monotonic() + 120
    while len(workers := process.children(recursive=True)) < 3:  # one looks after their resources
        assert time.monotonic() < deadline
        time.sleep(0.1)
    driver.kill()
    driver.wait()
    # They notice once they have loaded what they need, which takes long where much else runs.
    gone, alive = psutil.wait_procs(workers, timeout=300)
    assert alive == []
    assert len(gone) == len(workers)
