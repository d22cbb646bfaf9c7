"""Cells in processes of this machine."""

import os
import queue
import threading
from collections.abc import Sequence

from bitcliff.sweep.cell import Cell, CellOutcome, Place
from bitcliff.sweep.worker import Children, execute


class LocalPool:
    """As many processes at once as there are places; on GPUs, one place each.

    Args:
        place: how each is run. room: how many at once. gpus: how many there are for the cells; 0:
            they use none.
    """

    def __init__(self, place: Place, room: int, gpus: int = 0) -> None:
        self.room = room
        self._place = place
        self._children = Children()
        self._ended: queue.Queue[tuple[Cell, CellOutcome, int]] = queue.Queue()
        self._free = list(range(room))
        self._gpus = gpus

    def begin(self, cell: Cell) -> None:
        """See `Pool`; there must be room."""
        slot = self._free.pop(0)
        # A thread for each: a child ends with the thread that began it.
        threading.Thread(target=self._run, args=(cell, slot), daemon=True).start()

    def _run(self, cell: Cell, slot: int) -> None:
        own = {"CUDA_VISIBLE_DEVICES": str(slot % self._gpus)} if self._gpus else {}
        text = execute(cell.job(self._place), self._children, **own)
        self._ended.put((cell, CellOutcome.of(text), slot))

    def ended(self, patience: float) -> Sequence[tuple[Cell, CellOutcome]]:
        """See `Pool`."""
        try:
            cell, outcome, slot = self._ended.get(timeout=patience)
        except queue.Empty:
            return ()
        self._free.append(slot)
        return [(cell, outcome)]

    def stop(self) -> None:
        """See `Pool`."""
        self._children.stop()


def places(jobs: int | None, threads: int, gpus: int) -> int:
    """How many cells at once: those asked for, else one a GPU, else as many as fit the cores."""
    if jobs is not None:
        return jobs
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return gpus or max(1, (cores or 1) // threads)
