"""Workers for one run: on this machine, or on a Ray cluster."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from bitcliff.audit.batches import Ask, Part, Run
from bitcliff.errors import InputError
from bitcliff.sweep.ray_cluster import connect
from bitcliff.sweep.shards.farm import Farm, Workers
from bitcliff.sweep.shards.processes import Processes
from bitcliff.sweep.shards.ray_actors import RayActors
from bitcliff.sweep.shards.worker import greeting

OnFarm = Callable[[Farm], None]


def on_processes(count: int, tell: OnFarm = lambda _farm: None) -> "OfConfig":
    """So many processes of this machine.

    Args:
        tell: is given the farm once it is open, as its tests want it.
    """
    return lambda config: _opened(Processes(), count, config, tell)


@contextmanager
def on_ray(
    address: str, count: int | None = None, tell: OnFarm = lambda _farm: None
) -> Iterator["OfConfig"]:
    """So many actors of a Ray cluster, by default one for each of its processors; inside, it is
    connected, so that what cannot be reached is refused before there is a run.

    Raises:
        MissingExtra, InputError: as `ray_cluster.connect`; or it has no processor.
    """
    with connect(address) as ray:
        processors = int(ray.cluster_resources().get("CPU", 0))
        if not processors:  # workers would be waited for without end
            raise InputError(f"--on {address}: the cluster has no processor for a worker")
        yield lambda config: _opened(RayActors(ray), count or processors, config, tell)


OfConfig = Callable[[dict[str, Any]], AbstractContextManager[Run]]
"""As `run_assess` takes it."""


@contextmanager
def _opened(workers: Workers, count: int, config: dict[str, Any], tell: OnFarm) -> Iterator[Run]:
    farm = Farm(workers, greeting(config), count)
    try:
        farm.open()
        tell(farm)

        def run(asks: Iterable[Ask]) -> Iterator[Part]:
            return map(Part.of_bytes, farm.run(ask.to_bytes() for ask in asks))

        yield run
    finally:
        workers.stop()
