"""Cells that are done by a shell in a moment, for what is about cells and not what is in them."""

import stat
from collections.abc import Sequence
from pathlib import Path

from bitcliff.sweep.cell import Cell, CellOutcome, Place
from bitcliff.sweep.scheduler import Pool, Scheduler, SweepListener

# Arguments: seconds, exit code (or "killed"), name; --out RUN. Says in a file that it began.
_PROGRAM = """#!/bin/sh
seconds=$1; code=$2; name=$3; out=$5
echo "begin $name $(date +%s.%N)" >> "$(dirname "$0")/seen.txt"
sleep "$seconds"
[ "$code" = killed ] && kill -9 $$
mkdir -p "$out"
echo "{\\"name\\": \\"$name\\"}" > "$out/result.json"
[ "$code" = 0 ] || echo "bitcliff: error: $name was told to fail" >&2
exit "$code"
"""


def program(folder: Path) -> tuple[str, ...]:
    """A stub for all cells; `seen(folder)` has what it did."""
    file = folder / "stub.sh"
    file.write_text(_PROGRAM)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return (str(file),)


def seen(folder: Path) -> list[tuple[str, float]]:
    """Each time a cell was begun: its name and when, in seconds."""
    file = folder / "seen.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(name, float(when)) for _, name, when in (line.split() for line in lines)]


def stub_cell(
    name: str, seconds: float = 0.0, code: int | str = 0, after: str | None = None
) -> Cell:
    return Cell(name, "pair", {}, (str(seconds), str(code), name), after=after)


def run(
    pool: Pool, cells: Sequence[Cell], before: dict[str, CellOutcome] | None = None
) -> dict[str, CellOutcome]:
    scheduler = Scheduler(pool, SweepListener(), dict(before or {}))
    scheduler.run(cells)
    return scheduler.outcomes


def place(folder: Path, root: str | None = None) -> Place:
    return Place(root or str(folder / "cells"), 1, program(folder))
