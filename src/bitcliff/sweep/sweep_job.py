"""A sweep from its file to its tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from bitcliff.errors import InputError, nearest
from bitcliff.sweep.cell import Cell, CellOutcome, Place
from bitcliff.sweep.feasibility import CellPlan, plan_cells
from bitcliff.sweep.folder import CELLS, Claim, pull, sweep_folder
from bitcliff.sweep.grid import read_sweep
from bitcliff.sweep.local import LocalPool, places
from bitcliff.sweep.on_ray import RayPool
from bitcliff.sweep.page import write_tables
from bitcliff.sweep.paper import Paper
from bitcliff.sweep.ray_cluster import connect
from bitcliff.sweep.scheduler import Pool, Scheduler, SweepListener
from bitcliff.sweep.settings import SweepConfig
from bitcliff.sweep.store import OUTCOME, Store
from bitcliff.sweep.tables import read_cells


@dataclass(frozen=True)
class SweepJob:
    """Everything one sweep needs.

    Attributes:
        config: the YAML file. out: the sweep's folder. command: the command line, for the page.
        on: "" for processes of this machine, or an address as `ray_cluster.connect` takes it.
        storage: where cells leave what they found; None: in `out`.
        only: patterns of cells' names; none: all. retry_failed: run those that failed again.
        jobs: cells at once on this machine; None: as many as fit. threads: of each cell.
        cpus, gpus: what a cell takes on Ray.
    """

    config: Path
    out: Path
    command: str
    on: str = ""
    storage: str | None = None
    only: tuple[str, ...] = ()
    retry_failed: bool = False
    jobs: int | None = None
    threads: int = 1
    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to.

    Attributes:
        cells: all of the grid. outcomes: by name, of those that ended, now or before.
        stopped: whether it was told to stop.
    """

    cells: tuple[Cell, ...]
    outcomes: dict[str, CellOutcome]
    stopped: bool

    @property
    def failed(self) -> dict[str, str]:
        """By name, why."""
        found = self.outcomes.items()
        return {name: one.reason for name, one in found if one.state in ("failed", "lost")}


@dataclass(frozen=True)
class Planned:
    """What a dry run tells."""

    cells: tuple[Cell, ...]
    plans: dict[str, CellPlan]
    at_once: int


def plan_sweep(job: SweepJob) -> Planned:
    """The grid, and how long its cells take by a few steps of each network; nothing is written.

    Raises:
        InputError: as `run_sweep`, of what is asked for.
    """
    config, cells = read_sweep(job.config)
    chosen = _chosen(cells, job.only)
    torch.set_num_threads(job.threads)
    return Planned(tuple(chosen), plan_cells(chosen, timed=True), _places(job, config))


def run_sweep(job: SweepJob, listener: SweepListener) -> SweepResult:
    """Run all cells that are not done, and write the tables of all that are.

    Raises:
        InputError: before anything starts: a slip in the file, a budget that cannot be met, a
            cluster or storage out of reach, a folder that is another's.
    """
    config, cells = read_sweep(job.config)
    chosen = _chosen(cells, job.only)
    store = Store(job.storage or str((job.out / CELLS).absolute()))
    to_come = [cell for cell in chosen if store.outcome(cell.name) is None or job.retry_failed]
    listener.on_note(f"{len(cells)} cells, {len(to_come)} to run: seeing that all of them can be")
    plan_cells(to_come)
    asked = config.model_dump(mode="json")
    with (
        sweep_folder(job.out, asked),
        _claimed(store, job, asked) as claim,
        _pool(job, config, store) as pool,
    ):
        outcomes = _before(store, cells, chosen, job.retry_failed)
        scheduler = Scheduler(pool, _refreshing(listener, claim), outcomes)
        scheduler.run([cell for cell in chosen if cell.name not in outcomes])
        result = SweepResult(tuple(cells), scheduler.outcomes, listener.should_stop())
        done = [cell for cell in cells if _is_done(result.outcomes, cell)]
        runs = {cell.name: pull(store, cell.name, job.out) for cell in done}
        records, paper = read_cells(done, runs), Paper.of(config.pairs)
        whole = sum(cell.kind in ("pair", "assess") for cell in cells)
        write_tables(records, paper, result.failed, whole, job.out, job.command)
    return result


def _is_done(outcomes: dict[str, CellOutcome], cell: Cell) -> bool:
    return cell.name in outcomes and outcomes[cell.name].state == "done"


def _chosen(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """Those asked for, and those they begin with."""
    if not only:
        return list(cells)
    names = [cell.name for cell in cells]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(f"--only {pattern}: no cell has that name{nearest(pattern, names)}")
    asked = [cell for cell in cells if any(fnmatchcase(cell.name, one) for one in only)]
    needed = {cell.after for cell in asked}
    return [cell for cell in cells if cell in asked or cell.name in needed]


def _before(
    store: Store, cells: Sequence[Cell], chosen: Sequence[Cell], retry: bool
) -> dict[str, CellOutcome]:
    """What came of cells in an earlier sweep; of those to be run again, it is forgotten."""
    found = {}
    for cell in cells:
        outcome = store.outcome(cell.name)
        if outcome is not None and outcome.state == "failed" and retry and cell in chosen:
            store.remove(f"{cell.name}/{OUTCOME}")
        elif outcome is not None:
            found[cell.name] = outcome
    return found


@contextmanager
def _claimed(store: Store, job: SweepJob, asked: dict[str, Any]) -> Iterator[Claim | None]:
    """See that the cells' folders can be written to, and that no other sweep does."""
    store.check()
    if job.storage is None:  # the lock of the sweep's own folder says it all
        yield None
        return
    claim = Claim(store, job.out, asked)
    claim.take()
    try:
        yield claim
    finally:
        claim.release()


def _refreshing(listener: SweepListener, claim: Claim | None) -> SweepListener:
    """The same, which keeps the claim alive."""

    def tick() -> None:
        listener.on_tick()
        if claim is not None:
            claim.refresh()

    return replace(listener, on_tick=tick)


@contextmanager
def _pool(job: SweepJob, config: SweepConfig, store: Store) -> Iterator[Pool]:
    place = Place(store.root, job.threads)
    if not job.on:
        yield LocalPool(place, _places(job, config), _gpus(config))
        return
    with connect(job.on) as ray:
        yield RayPool(ray, place, job.cpus, job.gpus)


def _places(job: SweepJob, config: SweepConfig) -> int:
    return places(job.jobs, job.threads, _gpus(config))


def _gpus(config: SweepConfig) -> int:
    """How many GPUs of this machine its cells use."""
    device = config.pairs.settings.get("device", "cpu") if config.pairs else "cpu"
    return torch.cuda.device_count() if device != "cpu" and torch.cuda.is_available() else 0
