"""Cells as tasks of a Ray cluster: what goes there and comes back is JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from bitcliff.errors import InputError
from bitcliff.record.files import one_line
from bitcliff.sweep.cell import Cell, CellOutcome, Place
from bitcliff.sweep.worker import execute

# Of a cell whose worker or machine was lost under it.
_RETRIES = 20
# Lined up at once, for each core: all of ten thousand would lie in the driver's memory.
_AHEAD = 4


class RayPool:
    """See `Pool`. A cell whose worker dies is begun again elsewhere; one that is done says so.

    Args:
        ray: the module, connected. place: how each is run; its root is the same for all machines
            of the cluster. cpus, gpus: what a cell takes, also in parts of one.

    Raises:
        InputError: the cluster has no such Bitcliff, or not what one cell takes.
    """

    def __init__(
        self, ray: Any, place: Place, cpus: float | int = 1, gpus: float | int = 0
    ) -> None:
        self._ray, self._place = ray, place
        self._running: dict[Any, Cell] = {}
        self._check_room({"CPU": cpus, "GPU": gpus})
        self.room = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 0) / (cpus or 1)))
        asked_for = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": _RETRIES}
        self._execute = ray.remote(**asked_for)(execute)
        self._check_version()

    def _check_room(self, asked: Mapping[str, float | int]) -> None:
        machines = [one["Resources"] for one in self._ray.nodes() if one["Alive"]]
        for kind, much in asked.items():
            most = max((one.get(kind, 0) for one in machines), default=0)
            if much > most:
                raise InputError(
                    f"--{kind.lower()}s {much:g}: no machine of the cluster has more than "
                    f"{most:g}; ask for less for each cell"
                )

    def _check_version(self) -> None:
        from bitcliff import __version__

        try:
            theirs = self._ray.get(self._ray.remote(num_cpus=0)(_version).remote())
        except self._ray.exceptions.RayError as error:
            raise InputError(
                f"--on: the cluster cannot run Bitcliff {__version__}: {_short(error)}; install it "
                "on all its machines"
            ) from error
        if theirs != __version__:
            raise InputError(f"--on: the cluster has Bitcliff {theirs}, here is {__version__}")

    def begin(self, cell: Cell) -> None:
        """See `Pool`."""
        job = cell.job(self._place)
        self._running[self._execute.options(name=cell.name).remote(job)] = cell

    def ended(self, patience: float) -> Sequence[tuple[Cell, CellOutcome]]:
        """See `Pool`."""
        refs = list(self._running)
        done, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        if not done:
            done, _ = self._ray.wait(refs, num_returns=1, timeout=patience)
        return [(self._running.pop(ref), self._outcome(ref)) for ref in done]

    def _outcome(self, ref: Any) -> CellOutcome:
        errors = self._ray.exceptions
        try:
            return CellOutcome.of(self._ray.get(ref))
        except errors.TaskCancelledError:
            return CellOutcome("stopped", 130, "stopped", 0.0, "")
        except errors.RayError as error:
            return CellOutcome("failed", 2, f"Ray: {_short(error)}", 0.0, "")

    def stop(self) -> None:
        """See `Pool`."""
        for ref in self._running:
            self._ray.cancel(ref)


def _version() -> str:
    from bitcliff import __version__

    return __version__


def _short(error: Exception) -> str:
    return one_line(" ".join(str(error).split()), 200)
