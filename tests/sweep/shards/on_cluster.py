"""`python -m tests.sweep.shards.on_cluster OUT COUNT [lose]`: an audit on a cluster of its own.

The cluster has a head that runs no batches and two machines that do; with `lose`, an actor is
killed a quarter of the way, and half-way one of the machines is lost.
"""

import sys
from pathlib import Path
from typing import Any

import psutil
from ray.cluster_utils import Cluster

from bitcliff.sweep.shards.farm import Farm
from bitcliff.sweep.shards.open import on_ray
from tests.sweep.shards import audits


def main(out: Path, count: int, lose: bool) -> None:
    cluster: Any = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    nodes, farms = [cluster.add_node(num_cpus=2) for _ in range(2)], list[Farm]()

    def kill_an_actor() -> None:
        found = [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"]]
        next(one for one in found if one.info["cmdline"][0].startswith("ray::Worker")).kill()

    def lose_a_machine() -> None:
        cluster.remove_node(nodes[0], allow_graceful=False)

    losses = [audits.Once(kill_an_actor), audits.Once(lose_a_machine)]

    def on_progress(done: int, whole: int) -> None:
        if lose:
            losses[0](2 * done, whole)
            losses[1](done, whole)

    try:
        with on_ray(cluster.address, count, farms.append) as workers:
            text = audits.record(audits.job(out), workers, on_progress)
    finally:
        cluster.shutdown()
    assert all(one.done == lose for one in losses)
    sys.stdout.write(f"again: {farms[0].again}\n")
    (out / "timeless.json").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), "lose" in sys.argv[3:])
