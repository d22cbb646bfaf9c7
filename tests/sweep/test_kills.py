"""Fifty kills of worker, driver and raylet on a real cluster: no cell is lost, none is repeated."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bitcliff.sweep.cell import CellOutcome
from bitcliff.sweep.store import Store
from tests.sweep.stub import seen

pytestmark = pytest.mark.slow
cluster_utils = pytest.importorskip("ray.cluster_utils")

CELLS, KILLS, SECONDS = 150, 50, 1.0
_DRIVER = f"""
import sys
from pathlib import Path
from bitcliff.sweep.on_ray import RayPool
from bitcliff.sweep.ray_cluster import connect
from tests.sweep.stub import place, run, stub_cell
with connect(sys.argv[2]) as ray:
    folder = Path(sys.argv[1])
    cells = [stub_cell(f"c{{n}}", seconds={SECONDS}) for n in range({CELLS})]
    found = run(RayPool(ray, place(folder), cpus=0.5), cells)
    bad = {{name: one for name, one in found.items() if one.state != "done"}}
    print(bad, file=sys.stderr)
    sys.exit(bool(bad))
"""


class Cluster:
    """A head that runs no cells, two machines that do, and a driver."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = cluster_utils.Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(2)]
        self.driver = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", _DRIVER, str(self.folder), self.cluster.address]
        with (self.folder / "driver.txt").open("ab") as said:
            return subprocess.Popen(command, stderr=said)

    def kill_driver(self) -> bool:
        self.driver.kill()
        self.driver.wait()
        self.driver = self.start()
        return True

    def kill_worker(self, rng: random.Random) -> bool:
        """One of those that are at a cell, of this cluster and no other."""
        mine = [one for one in psutil.process_iter() if self._is_raylet(one)]
        busy = [child for one in mine for child in one.children() if _is_at_a_cell(child)]
        if not busy:
            return False
        rng.choice(busy).kill()
        return True

    def _is_raylet(self, process: psutil.Process) -> bool:
        words = _words(process)
        asked = f"--gcs-address={self.cluster.address}"
        return bool(words) and words[0].endswith("/raylet") and asked in words

    def kill_raylet(self, rng: random.Random) -> bool:
        node = self.nodes.pop(rng.randrange(len(self.nodes)))
        self.cluster.remove_node(node, allow_graceful=False)
        self.nodes.append(self.cluster.add_node(num_cpus=1))
        return True


def _is_at_a_cell(process: psutil.Process) -> bool:
    words = _words(process)
    return bool(words) and words[0].startswith("ray::c")


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # gone by now
        return []


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    yield found
    found.driver.kill()
    found.driver.wait()
    found.cluster.shutdown()


def test_no_cell_is_lost_or_repeated(cluster: Cluster, tmp_path: Path) -> None:
    rng, store = random.Random(0), Store(str(tmp_path / "cells"))
    kills: dict[str, int] = {"worker": 0, "driver": 0, "raylet": 0}
    ended: dict[str, tuple[CellOutcome, float]] = {}
    acts: dict[str, Any] = {
        "worker": lambda: cluster.kill_worker(rng),
        "driver": cluster.kill_driver,
        "raylet": lambda: cluster.kill_raylet(rng),
    }
    deadline, due, before = time.monotonic() + 2400, 0.0, 0
    while cluster.driver.poll() is None or len(ended) < CELLS:
        assert time.monotonic() < deadline, (kills, len(ended))
        if cluster.driver.poll() is not None:  # it ended by itself: all it has is done
            assert cluster.driver.returncode == 0, (tmp_path / "driver.txt").read_text()[-2000:]
        for name in (f"c{n}" for n in range(CELLS)):
            outcome = None if name in ended else store.outcome(name)
            if outcome is not None:
                ended[name] = outcome, time.time()
        # A kill a moment after cells are under way again: before, there is nothing to lose.
        if len(seen(tmp_path)) > before and not due:
            due = time.monotonic() + rng.uniform(0, 2)
        if due and time.monotonic() > due and sum(kills.values()) < KILLS:
            kind = rng.choice(["worker", "worker", "driver", "raylet"])
            kills[kind] += acts[kind]()
            due, before = 0.0, len(seen(tmp_path))
        time.sleep(0.05)
    assert sum(kills.values()) == KILLS
    assert min(kills.values()) > 0
    begun = seen(tmp_path)
    sys.stderr.write(f"{kills}, {len(begun)} begun for {CELLS} cells\n")
    assert len(begun) > CELLS  # kills did hit cells
    for name, (outcome, when) in ended.items():
        assert outcome.state == "done"
        assert json.loads(store.read(f"{name}/run/result.json") or b"") == {"name": name}
        assert store.outcome(name) == outcome
        assert [at for other, at in begun if other == name and at > when] == []
