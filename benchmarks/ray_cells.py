"""What a cell costs beyond its own work, on Ray and on processes, and the driver's memory.

    python benchmarks/ray_cells.py [CELLS]

Each cell is a shell that leaves an empty result: what is left is sending, folders, a process and an
outcome.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

from bitcliff.sweep.cell import Cell, CellOutcome, Place
from bitcliff.sweep.local import LocalPool
from bitcliff.sweep.on_ray import RayPool
from bitcliff.sweep.ray_cluster import connect
from bitcliff.sweep.scheduler import Pool, Scheduler, SweepListener

TARGET_MS = 50.0
PROGRAM = ("sh", "-c", 'mkdir -p "$1" && : > "$1/result.json"')


def resident_mib() -> float:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measured(name: str, pool: Pool, cells: int) -> float:
    """Run so many cells, print what they took and the memory on the way. Returns ms a cell."""
    memory: list[float] = []

    def on_end(_cell: Cell, outcome: CellOutcome) -> None:
        assert outcome.state == "done", outcome
        ended.append(outcome.seconds)
        if len(ended) % max(1, cells // 5) == 0:
            memory.append(resident_mib())

    ended: list[float] = []
    began = time.perf_counter()
    named = [Cell(f"c{number}", "pair", {}, ()) for number in range(cells)]
    Scheduler(pool, SweepListener(on_end=on_end)).run(named)
    each = 1000 * (time.perf_counter() - began) / cells
    shown = ", ".join(f"{one:.0f}" for one in memory)
    spent = 1000 * sum(ended) / cells
    print(
        f"{name}: {cells} cells, {each:.1f} ms each ({spent:.1f} ms in its process); MiB: {shown}"
    )
    return each


def main() -> None:
    """Both ways, in this order."""
    cells = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        place = Place(f"{folder}/local", program=PROGRAM)
        measured("two processes", LocalPool(place, 2), min(cells, 1000))
        with connect("ray", cpus=2) as ray:
            place = Place(f"{folder}/ray", program=PROGRAM)
            each = measured("Ray, two cores", RayPool(ray, place), cells)
    print("within" if each <= TARGET_MS else "ABOVE", f"the target of {TARGET_MS:.0f} ms")


if __name__ == "__main__":
    main()
