"""`bitcliff train teacher|distill|pair`: a YAML file to trained networks."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.output import reader_may_leave
from bitcliff.cli.stop_signals import StopSignals

if TYPE_CHECKING:
    from bitcliff.run.train_job import Run, TrainListener

# Seconds between lines of progress where there is no terminal to draw a bar on.
_QUIET = 10.0

# What validation finds that is a share of the examples; "own" is under the network's own policy.
_SHARES = ("float", "own", "agreement")


@click.group()
def train() -> None:
    """Train networks and policies, as the paper does, from a YAML file.

    A run that was killed goes on with --resume, to the same bits. SIGTERM and Ctrl-C finish the
    step, save and leave with 143 and 130; a second signal leaves at once. The file's device,
    devices and precision say what to train on; tensorboard: true adds curves for TensorBoard.
    """


def _options(command: Callable[..., int]) -> Callable[..., int]:
    out = click.option(
        "--out", type=click.Path(path_type=Path), required=True, help="Run directory to write."
    )
    resume = click.option("--resume", is_flag=True, help="Go on with the run in --out.")
    threads = click.option("--threads", type=click.IntRange(1, 1024), help="Processor threads.")
    config = click.argument("config", type=click.Path(path_type=Path))
    return config(out(resume(threads(command))))


@train.command()
@_options
def teacher(**options: Any) -> int:
    """Train a network on labels, from scratch or from given weights.

    CONFIG is a YAML file, such as configs/digits-teacher.yaml.
    """
    from bitcliff.run.train_config import TeacherConfig
    from bitcliff.run.train_job import run_teacher

    return _run(run_teacher, TeacherConfig, options)


@train.command()
@_options
def distill(**options: Any) -> int:
    """Train a network to answer as a black box does, without its weights and without labels.

    CONFIG is a YAML file, such as configs/digits-distill.yaml. Its teacher is a model's name, an
    ONNX file, the address of a KServe v2 model or a Python function.
    """
    from bitcliff.run.train_config import DistillConfig
    from bitcliff.run.train_job import run_distill

    return _run(run_distill, DistillConfig, options)


@train.command()
@_options
def pair(**options: Any) -> int:
    """Train robust and brittle pairs of a network and its policy.

    CONFIG is a YAML file, such as configs/digits-pair.yaml.
    """
    from bitcliff.run.train_config import PairConfig
    from bitcliff.run.train_job import run_pair

    return _run(run_pair, PairConfig, options)


def _run(run: Callable[..., dict[str, Any]], kind: Any, options: dict[str, Any]) -> int:
    import torch

    from bitcliff.report.training import training_lines
    from bitcliff.run.hardware import find_hardware
    from bitcliff.run.train_config import read_config
    from bitcliff.train.loop import Stopped

    if options["threads"]:
        torch.set_num_threads(options["threads"])
    config = read_config(options["config"], kind)
    first = find_hardware(config).first
    stop = StopSignals(waits=not first)
    with _Bar(stop, shown=first) as bar:
        try:
            result = run(config, options["out"], options["resume"], bar.listener())
        except (Stopped, KeyboardInterrupt):
            if not first:
                return 0  # any other code would be taken for a crash
            bar.note(f"stopped; go on with --resume --out {options['out']}")
            return stop.exit_code
    if first:
        with reader_may_leave():
            click.echo("\n".join(training_lines(result)))
    return 0


class _Bar:
    """Progress on stderr: a bar on a terminal, a line now and then elsewhere.

    It is as long as all runs of the command, so that the time left is that of all.
    """

    def __init__(self, stop: StopSignals, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._stop = stop
        self._console = Console(stderr=True)
        self._drawn = shown and self._console.is_terminal
        self._left = TimeRemainingColumn()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[parts]}"),
            self._left,
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("Starting", total=None, parts="")
        self._told = -_QUIET
        self._last = False
        self._found = ""

    def __enter__(self) -> "_Bar":
        if self._drawn:
            self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._drawn:
            self._bar.stop()

    def listener(self) -> "TrainListener":
        """What a job reports to."""
        from bitcliff.run.train_job import TrainListener

        return TrainListener(
            on_note=self.note,
            on_step=self.step,
            should_stop=self.should_stop,
            on_epoch=self.epoch,
        )

    def should_stop(self) -> bool:
        """Asked when a step is done; after the last one nobody will ask again."""
        self._stop.waits = not self._last
        return self._stop.received is not None

    def note(self, line: str) -> None:
        """A line of its own."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def epoch(self, _run: "Run", found: dict[str, float]) -> None:
        """After each validation: shown until the next."""
        shown = ", ".join(f"{key} {found[key]:.1%}" for key in _SHARES if key in found)
        self._found = f"; validation {shown}"

    def step(self, run: "Run", step: int, steps: int, parts: dict[str, float]) -> None:
        """After each step's sums are done, before it is validated and saved."""
        self._stop.waits, self._last = True, step == steps
        task = self._bar.tasks[0]
        done, of_all = (run.number - 1) * steps + step, run.of * steps
        if done != task.completed + 1:  # resumed: what was done before says nothing of the speed
            self._bar.reset(self._task, completed=done - 1)
        if step == 1:
            self._found = ""
        name = run.name + (f" ({run.number} of {run.of})" if run.of > 1 else "")
        text = " ".join(f"{key} {value:.3f}" for key, value in parts.items()) + self._found
        self._bar.update(self._task, description=name, completed=done, total=of_all, parts=text)
        now = time.monotonic()
        if not self._console.is_terminal and (now - self._told > _QUIET or step == steps):
            self._told = now
            left = f"{self._left.render(task)} left" if done < of_all else "done"
            line = f"[{100 * done // of_all:3d} %] {name} step {step} of {steps}: {text}; {left}"
            self.note(line)
