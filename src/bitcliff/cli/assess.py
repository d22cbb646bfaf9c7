"""`bitcliff assess`: options to an `AssessJob`, progress and summary to the terminal."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.values import Numbers, Widths

if TYPE_CHECKING:
    from bitcliff.jobs.assess_job import AssessJob

_SCHEME_HELP = "How ranges are taken: paper (min to max), onnx (zero kept in), percentile(P)."


@click.command()
@click.argument("model", default="efficientnet-lite0")
@click.option("--data", help="Examples: a folder of class folders, .npz, .csv, hf:DIR or a built-in.")
@click.option("--weights", type=click.Path(path_type=Path), help="FILE.safetensors or .pt.")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory to write.")
@click.option("--bits", type=Widths(), default="3:10", show_default=True, help="Bit-widths allowed.")
@click.option(
    "--budget", type=Numbers(), help="Mean bits a point, several by commas.  [default: 4,5.5,7]"
)
@click.option("--scheme", default="onnx", show_default=True, help=_SCHEME_HELP)
@click.option(
    "--uniform", type=Widths(), default="2:10", show_default=True, help="Uniform widths to show."
)
@click.option("--weight-bits", type=int, default=16, show_default=True, help="0 leaves weights float.")
@click.option("--per-channel", is_flag=True, help="One weight scale for each output channel.")
@click.option(
    "--points",
    type=click.Choice(["inputs", "outputs"]),
    default="inputs",
    show_default=True,
    help="Quantize layers' inputs, or the outputs of activation functions.",
)
@click.option("--include", multiple=True, help="Only points whose name fits this pattern.")
@click.option("--exclude", multiple=True, help="Leave out points whose name fits this pattern.")
@click.option("--include-stem", is_flag=True, help="Quantize the picture itself too.")
@click.option(
    "--margin",
    type=click.Choice(["prediction", "label"]),
    default="prediction",
    show_default=True,
    help="What the adversary pushes away from.",
)
@click.option("--examples", default=200, show_default=True, help="Examples kept; 0 keeps all.")
@click.option("--draws", default=20, show_default=True, help="Draws of each random policy.")
@click.option("--rounds", default=6, show_default=True, help="Rounds of the gradient search.")
@click.option("--exchanges", default=40, show_default=True, help="Exchange moves an example.")
@click.option(
    "--evaluations", default=48, show_default=True, help="Of the evolutionary search, an example."
)
@click.option("--batch-size", type=int, help="Examples a forward pass.  [default: by memory]")
@click.option("--seed", default=0, show_default=True, help="Of every random choice.")
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads.")
@click.option("--max-drop", type=float, help="Points that may be lost: gates the exit code.")
@click.option("--num-classes", type=int, help="Outputs to build the model with.")
@click.option("--image-size", type=int, help="Height and width of the input, pixels.")
@click.option("--mean", type=Numbers(), help="Overrides the model's own preprocessing.")
@click.option("--std", type=Numbers(), help="Overrides the model's own preprocessing.")
@click.option("--crop", type=float, help="Share kept by the centre crop.")
@click.option("--interpolation", help="nearest, bilinear or bicubic.")
@click.option("--split", default="test", show_default=True, help="Part of the data, where it has parts.")
@click.option("--json", "as_json", is_flag=True, help="Print the record on stdout.")
def assess(**options: Any) -> int:
    """Audit MODEL under quantization: uniform, random, worst and friendliest bit-widths.

    MODEL: timm:NAME, torchvision:NAME, hf:DIR, py:package.module:factory, or the built-in
    efficientnet-lite0, which is the default and brings its own pictures.

    Exit codes: 0 done (with --max-drop: passed), 1 the gate failed, 2 bad input, 3 inconclusive.
    """
    job = _job(options)
    from bitcliff.jobs.assess_job import run_assess
    from bitcliff.records import record_json
    from bitcliff.report import render_summary
    from bitcliff.verdict import EXIT_CODES

    with _Display() as display:
        record, verdict = run_assess(job, display.listener())
    if options["as_json"]:
        click.echo(record_json(record), nl=False)
    else:
        from rich.console import Console

        render_summary(record, verdict, Console())
        click.echo(f"Report: {job.out / 'report.html'}")
    if options["max_drop"] is not None:
        return EXIT_CODES[verdict.status]
    # Without a threshold nothing is gated, but what was not covered must not look like a pass.
    return 0 if record.subject.coverage.complete else EXIT_CODES["inconclusive"]


def _job(options: dict[str, Any]) -> "AssessJob":
    import shlex

    import torch

    from bitcliff.adapters import DataOptions, ModelOptions
    from bitcliff.assess.settings import DEFAULT_BUDGETS, AssessSettings, SearchEffort
    from bitcliff.errors import InputError
    from bitcliff.jobs.assess_job import BUILTIN_BUDGETS, BUILTIN_DATA, AssessJob
    from bitcliff.points import Selection

    if options["threads"]:
        torch.set_num_threads(options["threads"])
    model = options["model"]
    data = options["data"] or BUILTIN_DATA.get(model)
    if data is None:
        raise InputError(f"--data is missing: {model} brings no examples of its own")
    if options["examples"] < 0:
        raise InputError(f"--examples must be 0 or more, not {options['examples']}")
    drop = options["max_drop"]
    settings = AssessSettings(
        bits=options["bits"],
        budgets=options["budget"] or BUILTIN_BUDGETS.get(model, DEFAULT_BUDGETS),
        scheme=options["scheme"],
        weight_bits=options["weight_bits"] or None,
        per_channel=options["per_channel"],
        uniform=options["uniform"],
        selection=Selection(
            options["points"], options["include"], options["exclude"], options["include_stem"]
        ),
        margin=options["margin"],
        effort=SearchEffort(
            options["rounds"], options["exchanges"], options["evaluations"], options["draws"]
        ),
        batch_size=options["batch_size"],
        max_drop=2.0 if drop is None else drop,
        seed=options["seed"],
    )
    return AssessJob(
        model=model,
        data=data,
        out=options["out"] or _default_out(model),
        command=shlex.join(["bitcliff", *sys.argv[1:]]),
        weights=options["weights"],
        limit=options["examples"] or None,
        settings=settings,
        model_options=ModelOptions(
            options["num_classes"],
            options["image_size"],
            options["mean"],
            options["std"],
            options["crop"],
            options["interpolation"],
        ),
        data_options=DataOptions(split=options["split"]),
    )


def _default_out(model: str) -> Path:
    slug = "".join(c if c.isalnum() or c in "-._" else "-" for c in model).strip("-.")
    return Path("runs") / (slug or "model")


class _Display:
    """Progress on stderr: a bar on a terminal, a line a policy elsewhere."""

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
        self.last = ""
        self.began = time.monotonic()

    def __enter__(self) -> "_Display":
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.bar.stop()

    def listener(self) -> Any:
        from bitcliff.jobs.assess_job import Listener

        return Listener(stage=self.stage, plan=self.plan, progress=self.progress)

    def stage(self, text: str) -> None:
        self.bar.update(self.task, description=text)
        if not self.console.is_terminal:
            self._line(text)

    def plan(self, plan: Any) -> None:
        for line in coverage_lines(plan):
            self._line(line)

    def progress(self, name: str, done: int, whole: int) -> None:
        self.bar.update(self.task, description=name, completed=done, total=whole)
        if not self.console.is_terminal and name != self.last:
            seconds = time.monotonic() - self.began
            self._line(f"[{100 * done // max(whole, 1):3d} %, {seconds:4.0f} s] {name}")
        self.last = name

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def coverage_lines(plan: Any) -> list[str]:
    """The coverage table in text: one line for each kind of operation, then what was missed."""
    kinds = sorted({point.kind for point in plan.seen})
    work = sum({point.site: point.macs for point in plan.seen}.values())
    lines = [f"{'points':<18}{'quantized':>10}{'left out':>10}{'multiply-adds':>15}"]
    for kind in kinds:
        mine = [point for point in plan.seen if point.kind == kind]
        share = sum({point.site: point.macs for point in mine}.values()) / work if work else 0.0
        quantized = sum(point.quantized for point in mine)
        lines.append(f"{kind:<18}{quantized:>10}{len(mine) - quantized:>10}{share:>14.1%}")
    lines += [f"NOT COVERED  {miss.name}: {miss.kind}, {miss.reason}" for miss in plan.missed]
    return lines
