"""Cells in processes of this machine."""

import os
import queue
import threading
from collections.abc import Sequence

from bitcliff.sweep.cell import Cell, CellOutcome
from bitcliff.sweep.worker import Children, execute


class LocalPool:
    """As many processes at once as there are places; on GPUs, one place each.

    Args:
        root: of the cells' folders. room: places. threads: of a cell. gpus: how many there are for
            the cells; 0: they use none.
    """

    def __init__(self, root: str, room: int, threads: int = 1, gpus: int = 0) -> None:
        self.room = room
        self._root, self._threads = root, threads
        self._children = Children()
        self._ended: queue.Queue[tuple[Cell, CellOutcome, int]] = queue.Queue()
        self._free = list(range(room))
        self._gpus = gpus

    def begin(self, cell: Cell) -> None:
        """See `Pool`; there must be room."""
        place = self._free.pop(0)
        # A thread for each: a child ends with the thread that began it.
        threading.Thread(target=self._run, args=(cell, place), daemon=True).start()

    def _run(self, cell: Cell, place: int) -> None:
        own = {"CUDA_VISIBLE_DEVICES": str(place % self._gpus)} if self._gpus else {}
        text = execute(cell.job(self._root, self._threads), self._children, **own)
        self._ended.put((cell, CellOutcome.of(text), place))

    def ended(self, patience: float) -> Sequence[tuple[Cell, CellOutcome]]:
        """See `Pool`."""
        try:
            cell, outcome, place = self._ended.get(timeout=patience)
        except queue.Empty:
            return ()
        self._free.append(place)
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
