"""Which cell is begun when: once what it begins with is there, as many at once as have room."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from bitcliff.sweep.cell import Cell, CellOutcome

_TICK = 0.25  # seconds between looks at whether to stop


@runtime_checkable
class Pool(Protocol):
    """What runs cells.

    Attributes:
        room: how many may be begun and not ended.
    """

    room: int

    def begin(self, cell: Cell) -> None:
        """Begin one, or line it up."""

    def ended(self, patience: float) -> Sequence[tuple[Cell, CellOutcome]]:
        """Those that ended; waits for one, at most so many seconds."""

    def stop(self) -> None:
        """Tell all that are under way to stop; they end soon."""


@dataclass(frozen=True)
class SweepListener:
    """Who hears of a sweep, and who may stop it.

    Attributes:
        on_note: a sentence. on_cells: all that are to run, and how many at once.
        on_begin, on_end: a cell. on_tick: several times a second. should_stop: asked as often.
    """

    on_note: Callable[[str], None] = lambda _line: None
    on_cells: Callable[[Sequence[Cell], int], None] = lambda _cells, _room: None
    on_begin: Callable[[Cell], None] = lambda _cell: None
    on_end: Callable[[Cell, CellOutcome], None] = lambda _cell, _outcome: None
    on_tick: Callable[[], None] = lambda: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass
class Scheduler:
    """Runs cells to their end.

    Attributes:
        outcomes: by name, of those that ended, before and now.
    """

    pool: Pool
    listener: SweepListener
    outcomes: dict[str, CellOutcome] = field(default_factory=dict)

    def run(self, cells: Sequence[Cell]) -> None:
        """Run all but those whose base failed; once a stop is asked for, begin no more."""
        waiting, running, told = list(cells), set[str](), False
        self.listener.on_cells(cells, self.pool.room)
        while waiting or running:
            self.listener.on_tick()
            if self.listener.should_stop() and not told:
                waiting, told = [], True
                self.pool.stop()
            for cell in self._ready(waiting, running):
                waiting.remove(cell)
                running.add(cell.name)
                self.listener.on_begin(cell)
                self.pool.begin(cell)
            for cell, outcome in self.pool.ended(_TICK) if running else ():
                running.discard(cell.name)
                self._end(cell, outcome)
            for cell in [cell for cell in waiting if self._lost(cell, waiting, running)]:
                waiting.remove(cell)
                self._end(cell, CellOutcome("failed", 2, f"{cell.after} failed", 0.0, ""))

    def _ready(self, waiting: Sequence[Cell], running: set[str]) -> Iterator[Cell]:
        room = self.pool.room - len(running)
        for cell in waiting[:]:
            base = self.outcomes.get(cell.after) if cell.after else None
            if room > 0 and (cell.after is None or (base is not None and base.state == "done")):
                room -= 1
                yield cell

    def _lost(self, cell: Cell, waiting: Sequence[Cell], running: set[str]) -> bool:
        """Whether what it begins with will not come."""
        if cell.after is None or cell.after in running:
            return False
        base = self.outcomes.get(cell.after)
        return base.state != "done" if base else all(one.name != cell.after for one in waiting)

    def _end(self, cell: Cell, outcome: CellOutcome) -> None:
        self.outcomes[cell.name] = outcome
        self.listener.on_end(cell, outcome)
