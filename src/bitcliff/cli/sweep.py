"""`bitcliff sweep`: a grid of trainings and audits, and their tables."""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.stop_signals import StopSignals

if TYPE_CHECKING:
    from rich.console import Group

    from bitcliff.sweep.cell import Cell, CellOutcome
    from bitcliff.sweep.scheduler import SweepListener
    from bitcliff.sweep.sweep_job import Planned, SweepResult

# Seconds between lines of progress where there is no terminal to draw a table on.
_QUIET = 30.0
_SHOWN = 12


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The sweep's folder.")
@click.option("--on", default="", help="ray, ray://HOST:PORT or HOST:PORT; else this machine.")
@click.option("--storage", help="Where cells leave their files: a folder or URL; else in --out.")
@click.option("--only", multiple=True, help="Cells whose name fits; may be given again.")
@click.option("--retry-failed", is_flag=True, help="Run the cells that failed again.")
@click.option("--dry-run", is_flag=True, help="Show the grid and the time it takes; run nothing.")
@click.option(
    "--jobs", type=click.IntRange(1, 1024), help="Cells at once here.  [default: cores, or GPUs]"
)
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option("--cpus", type=click.FloatRange(0, 1024), default=1.0, help="For each cell, on Ray.")
@click.option("--gpus", type=click.FloatRange(0, 64), default=0.0, help="For each cell, on Ray.")
def sweep(dry_run: bool, **options: Any) -> int:
    """Run a grid of trainings or audits, and write the paper's tables.

    CONFIG is a YAML file, such as configs/digits-sweep.yaml. The same command goes on with a sweep
    that was stopped. Ctrl-C and SIGTERM finish the steps under way, save, and exit with 130 and
    143; a second signal exits at once.

    Exit codes: 0 all cells are done, 1 some failed, 2 bad input.
    """
    from bitcliff.sweep.sweep_job import SweepJob, plan_sweep, run_sweep

    command = shlex.join(["bitcliff", *sys.argv[1:]])
    job = SweepJob(command=command, **options)
    if dry_run:
        click.echo("\n".join(_plan_lines(plan_sweep(job))))
        return 0
    stop = StopSignals(waits=False)
    with _Progress(stop) as progress:
        result = run_sweep(job, progress.listener())
    if result.stopped:
        click.echo(f"stopped; the same command goes on, --out {job.out}", err=True)
        return stop.exit_code
    click.echo("\n".join(_result_lines(result, job.out)))
    return 1 if result.failed else 0


def _result_lines(result: "SweepResult", out: Path) -> list[str]:
    lines = [f"FAILED  {name}: {reason}" for name, reason in result.failed.items()]
    done = sum(one.state == "done" for one in result.outcomes.values())
    lines.append(f"{done} of {len(result.cells)} cells are done, {len(result.failed)} failed.")
    return [*lines, f"Tables: {out / 'sweep.html'}"]


def _plan_lines(planned: "Planned") -> list[str]:
    wide = max(len(cell.name) for cell in planned.cells)
    lines = [f"{'cell':<{wide}}  {'points':>6}  {'bits':>6}  {'freedom':>8}  {'time':>8}"]
    for cell in planned.cells:
        plan = planned.plans.get(cell.name)
        if plan is None:
            lines.append(f"{cell.name:<{wide}}  {'':>6}  {'':>6}  {'':>8}  not estimated")
            continue
        freedom = f"2^{plan.freedom_log2:.1f}"
        took = _duration(plan.seconds or 0.0)
        lines.append(
            f"{cell.name:<{wide}}  {plan.points:>6}  {plan.total_bits:>6}  {freedom:>8}  {took:>8}"
        )
    seconds = sum(plan.seconds or 0.0 for plan in planned.plans.values())
    lines.append(
        f"{len(planned.cells)} cells, all of them feasible, {planned.at_once} at once; pairs take "
        f"about {_duration(seconds / planned.at_once)} by a few timed steps of each network."
    )
    return lines


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


class _Progress:
    """On stderr: a live table on a terminal, a line for each cell and now and then elsewhere."""

    def __init__(self, stop: StopSignals) -> None:
        from rich.console import Console
        from rich.live import Live

        self._stop = stop
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._drawn = self._console.is_terminal
        self._cells: Sequence[Cell] = ()
        self._room, self._began, self._told = 1, time.monotonic(), time.monotonic()
        self._running: dict[str, float] = {}
        self._ended: dict[str, CellOutcome] = {}

    def __enter__(self) -> "_Progress":
        if self._drawn:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._drawn:
            self._live.stop()

    def listener(self) -> "SweepListener":
        """What a sweep reports to."""
        from bitcliff.sweep.scheduler import SweepListener

        return SweepListener(
            self._note, self._begin_all, self._begin, self._end, self._tick, self._should_stop
        )

    def _note(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _begin_all(self, cells: Sequence["Cell"], room: int) -> None:
        self._cells, self._room = cells, room
        self._began = self._told = time.monotonic()
        self._stop.waits = True

    def _begin(self, cell: "Cell") -> None:
        self._running[cell.name] = time.monotonic()

    def _end(self, cell: "Cell", outcome: "CellOutcome") -> None:
        self._running.pop(cell.name, None)
        self._ended[cell.name] = outcome
        why = f": {outcome.reason}" if outcome.reason else ""
        if not self._drawn or outcome.state in ("failed", "lost"):
            spent = _duration(outcome.seconds)
            self._note(f"{outcome.state}  {cell.name} ({spent}){why}; {self._counts()}")

    def _tick(self) -> None:
        now = time.monotonic()
        if self._drawn:
            self._live.update(self._table(), refresh=True)
        elif now - self._told > _QUIET:
            self._told = now
            self._note(self._counts())

    def _should_stop(self) -> bool:
        return self._stop.received is not None

    def _counts(self) -> str:
        failed = sum(one.state in ("failed", "lost") for one in self._ended.values())
        done = sum(one.state == "done" for one in self._ended.values())
        left = len(self._cells) - len(self._ended) - len(self._running)
        text = f"{done} done, {len(self._running)} running, {failed} failed, {left} to come"
        return f"{text}, {self._left()}"

    def _left(self) -> str:
        """From how long the cells that are done took, those under way counted half done."""
        spent = [one.seconds for one in self._ended.values() if one.state == "done" and one.attempt]
        if not spent:
            return "time left not known yet"
        left = len(self._cells) - len(self._ended)
        rate = len(self._ended) / max(time.monotonic() - self._began, 1e-9)
        return f"about {_duration(max(left - len(self._running) / 2, 0.5) / rate)} left"

    def _table(self) -> "Group":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None)
        table.add_column("running")
        table.add_column("since", justify="right")
        now = time.monotonic()
        for name, began in [*self._running.items()][:_SHOWN]:
            table.add_row(name, _duration(now - began))
        if len(self._running) > _SHOWN:
            table.add_row(f"and {len(self._running) - _SHOWN} more", "")
        if self._stop.received is not None:
            table.add_row("stopping: finishing the steps under way", "")
        return Group(Text(self._counts()), table)
