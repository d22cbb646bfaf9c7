"""Two pieces of work timed in alternation, in one thread, and held against a table of before."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """What is to be timed.

    Attributes:
        make: gives `work` and what it is compared with, `unit`; called when the row is run.
        goal: the most that `work` may take, in units; for `least`, the least number of times that
            it is to be faster. rounds: pairs timed, after two that warm up.
    """

    name: str
    unit: str
    goal: float | None
    make: Callable[[], tuple[Work, Work]]
    rounds: int = 15


@dataclass(frozen=True)
class Timed:
    """Median and quartiles of the ratios of a row; milliseconds: median of the work alone."""

    name: str
    unit: str
    goal: float | None
    low: float
    median: float
    high: float
    rounds: int
    milliseconds: float

    @property
    def line(self) -> str:
        """For a terminal."""
        goal = "" if self.goal is None else f"{self.goal:g}"
        met = " " if self.goal is None or self.median <= self.goal else "!"
        spread = f"{self.low:.2f} to {self.high:.2f}"
        return (
            f"{self.name:<58} {self.unit:<24} {self.median:>8.2f}  {spread:<18} {goal:>6} {met} "
            f"{self.milliseconds:>10.2f} ms  n = {self.rounds}"
        )


def seconds(work: Work) -> float:
    """Processor time of one call, so that whoever shares the machine counts for less."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def timed(row: Row) -> Timed:
    """The ratio of work to unit over alternated pairs."""
    work, unit = row.make()
    taken, ratios = [], []
    for _ in range(row.rounds + 2):
        before = seconds(unit)
        taken.append(seconds(work))
        ratios.append(taken[-1] / before)
    low, median, high = statistics.quantiles(ratios[2:], n=4)
    middle = 1e3 * statistics.median(taken[2:])
    return Timed(row.name, row.unit, row.goal, low, median, high, row.rounds, middle)


def machine() -> dict[str, Any]:
    """What ratios depend on."""
    import numpy as np

    return {
        "processor": platform.processor() or platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def run(rows: Iterable[Row], out: Path | None = None) -> list[Timed]:
    """Time all of them, printing each as it comes; and keep them in a file."""
    found = []
    for row in rows:
        found.append(timed(row))
        print(found[-1].line, flush=True)
    print(f"{machine()}; !: beyond its goal")
    if out is not None:
        kept = {"machine": machine(), "rows": [asdict(one) for one in found]}
        out.write_text(json.dumps(kept, indent=1) + "\n")
    return found


def read(file: Path) -> dict[str, Timed]:
    """A table that was kept, by the rows' names."""
    rows = json.loads(file.read_text())["rows"]
    return {row["name"]: Timed(**row) for row in rows}


def slower(now: Sequence[Timed], before: dict[str, Timed]) -> list[str]:
    """What takes longer by more than its noise: the middle halves lie apart, and by a tenth."""
    found = []
    for one in now:
        known = before.get(one.name)
        if known is not None and one.low > 1.1 * known.high:
            found.append(
                f"{one.name}: {one.median:.2f} ({one.low:.2f} to {one.high:.2f}) of {one.unit}, "
                f"before {known.median:.2f} ({known.low:.2f} to {known.high:.2f})"
            )
    return found


def check(now: Sequence[Timed], table: Path) -> int:
    """Say what got slower than the table has it; the exit code."""
    found = slower(now, read(table))
    for line in found:
        print(f"slower: {line}", file=sys.stderr)
    return 1 if found else 0
