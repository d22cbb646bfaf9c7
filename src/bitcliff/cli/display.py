"""What a run shows on stderr while it works; stdout belongs to the command's own answer."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bitcliff.points import Plan
    from bitcliff.run.assess_job import Listener


class Display:
    """Progress on stderr: a bar on a terminal, a line a policy elsewhere.

    Elsewhere nothing is shown before the points are found: bad input is then told in one line.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description:32}"),
            BarColumn(),
            TaskProgressColumn(),
            Remaining(),
            console=self.console,
            transient=True,
        )
        self.task = self.bar.add_task("Starting", total=None)
        self.waiting: list[str] | None = None if self.console.is_terminal else []
        self.last = ""
        self.start: tuple[float, int] | None = None  # seconds, and work done then
        self.began = time.monotonic()

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        # A bar that never ran would still print an empty line.
        if self.console.is_terminal:
            self.bar.stop()

    def listener(self) -> "Listener":
        """What a job reports to."""
        from bitcliff.run.assess_job import Listener

        return Listener(
            stage=self.stage, plan=self.plan, progress=self.progress, judged=self.judged
        )

    def stage(self, text: str) -> None:
        """Something new begins."""
        self.bar.update(self.task, description=text)
        if self.waiting is not None:
            self.waiting.append(text)
        elif not self.console.is_terminal:
            self._line(text)

    def judged(self, words: str) -> None:
        """What a decision is: before all else that is told."""
        self._line(f"Judged by {words}")

    def plan(self, plan: "Plan") -> None:
        """The points are found."""
        waiting, self.waiting = self.waiting or [], None
        for line in [*waiting, *coverage_lines(plan)]:
            self._line(line)

    def progress(self, name: str, done: int, whole: int) -> None:
        """The policy that is being measured, cost done and in all."""
        self.bar.update(self.task, description=name, completed=done, total=whole)
        if not self.console.is_terminal and name != self.last:
            seconds = time.monotonic() - self.began
            left = self._left(seconds, done, whole)
            self._line(f"[{100 * done // max(whole, 1):3d} %, {seconds:4.0f} s{left}] {name}")
        self.last = name

    def _left(self, seconds: float, done: int, whole: int) -> str:
        """An estimate from the pace since this work began, once some of it is done."""
        if self.start is None or done <= self.start[1]:
            self.start = seconds, done
            return ""
        pace = (seconds - self.start[0]) / (done - self.start[1])
        return f", about {pace * (whole - done):.0f} s left" if done < whole else ""

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def coverage_lines(plan: "Plan") -> list[str]:
    """The coverage table in text: one line for each kind of operation, then what was missed."""
    kinds = sorted({point.kind for point in plan.seen})
    work = sum({point.site: point.macs for point in plan.seen}.values())
    lines = (
        [f"{'points':<18}{'quantized':>10}{'left out':>10}{'multiply-adds':>15}"] if kinds else []
    )
    for kind in kinds:
        mine = [point for point in plan.seen if point.kind == kind]
        share = sum({point.site: point.macs for point in mine}.values()) / work if work else 0.0
        quantized = sum(point.quantized for point in mine)
        lines.append(f"{kind:<18}{quantized:>10}{len(mine) - quantized:>10}{share:>14.1%}")
    lines += [f"NOT COVERED  {miss.name}: {miss.kind}, {miss.reason}" for miss in plan.missed]
    return lines


@contextlib.contextmanager
def stdout_set_aside() -> Iterator[None]:
    """Sends what other people's code prints to stderr, also what it writes past Python's stdout."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            _swap_descriptor(stack, sys.stdout, sys.stderr.fileno())
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def _swap_descriptor(stack: contextlib.ExitStack, stdout: Any, stderr: int) -> None:
    number = stdout.fileno()
    stdout.flush()
    kept = os.dup(number)

    def restore() -> None:
        # What was printed through a kept reference to stdout is still in its buffer.
        stdout.flush()
        os.dup2(kept, number)
        os.close(kept)

    os.dup2(stderr, number)
    stack.callback(restore)
