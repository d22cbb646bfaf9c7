"""Audits on a real Ray cluster of several nodes."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bitcliff.sweep.shards.farm import Farm
from bitcliff.sweep.shards.open import on_ray
from tests.sweep.shards import audits

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    os.environ["RAY_AUTH_MODE"] = "disabled"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=2)
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return audits.record(audits.job(tmp_path_factory.mktemp("run") / "alone"))


def test_an_actor_and_a_node_that_are_lost_change_nothing(
    cluster: Any, alone: str, tmp_path: Path
) -> None:
    import psutil

    farms = list[Farm]()

    def kill_one() -> None:
        actors = [one for one in psutil.process_iter() if "ray::Worker" in " ".join(one.cmdline())]
        os.kill(actors[0].pid, signal.SIGKILL)

    def lose_a_node() -> None:
        cluster.remove_node(cluster.worker_nodes[-1], allow_graceful=False)

    losses = [audits.Once(kill_one), audits.Once(lose_a_node)]

    def on_progress(done: int, whole: int) -> None:
        losses[0](2 * done, whole)  # a quarter
        losses[1](done, whole)

    workers = on_ray(cluster.address, 3, farms.append)
    assert audits.record(audits.job(tmp_path / "run"), workers, on_progress) == alone
    assert all(one.done for one in losses)


@pytest.mark.parametrize("count", [1, 2])
def test_the_record_is_that_of_one_process(
    cluster: Any, alone: str, tmp_path: Path, count: int
) -> None:
    assert audits.record(audits.job(tmp_path / "run"), on_ray(cluster.address, count)) == alone
