"""`bitcliff diff`: two numerics, or runtimes, on the same network and data."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.assess import assess, exit_code, named_job, print_record, subject_options
from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.options import SettingsCommand, options_of, settings_from
from bitcliff.cli.output import reader_may_leave

if TYPE_CHECKING:
    from bitcliff.record import Record
    from bitcliff.run.assess_job import AssessJob
    from bitcliff.verdict import Verdict

# What names the model and its data, and what is measured of them, is as for an assessment.
_AS_FOR_ASSESS = ("data", "weights", "out", "examples", "threads", "as_json")
_SETTINGS = (
    *("include", "exclude", "include_stem", "fold_batchnorm"),
    *("margin", "batch_size", "seed", "max_drop"),
)


def _settings_options() -> Iterable[click.Option]:
    from bitcliff.types.settings import AssessSettings

    kept = [option for option in options_of(AssessSettings) if option.name in _SETTINGS]
    return [*kept, *subject_options()]


@click.command(
    short_help="Set format B against A: which decisions differ, and why.",
    cls=SettingsCommand,
    made=_settings_options,
    params=[option for option in assess.params if option.name in _AS_FOR_ASSESS],
)
@click.argument("a")
@click.argument("b")
@click.argument("model", default="efficientnet-lite0")
def diff(**options: Any) -> int:
    """Set B against A on MODEL: decisions that differ, what is lost, and from which layer on.

    A and B: numerics by name (`bitcliff numerics` lists them), FILE.yaml with your own, a runtime
    (ort-dynamic, torch-dynamic, torchao-dynamic, openvino, file:INT8.onnx), or float. MODEL as in
    `bitcliff assess`, whose run folder this writes too, with both measured against float.

    Exit codes: 0 done (with --max-drop: B loses no more than that against A), 1 the gate failed, 2
    bad input, 3 inconclusive.
    """
    from bitcliff.run.assess_job import run_assess

    with Display() as display, stdout_set_aside():
        job = _job(options)
        record, verdict = run_assess(job, display.listener())
    with reader_may_leave():
        if options["as_json"]:
            print_record(record)
        else:
            _print_summary(record, verdict, job.out)
    return exit_code(options, record, verdict)


def _job(options: dict[str, Any]) -> "AssessJob":
    from bitcliff.run.sides import read_sides
    from bitcliff.types.settings import AssessSettings

    sides = read_sides(options["a"], options["b"])
    settings = settings_from(
        AssessSettings,
        options,
        budgets=(),
        numerics=sides.numerics,
        formats=sides.formats,
        compared=sides.labels,
    )
    job = named_job(options, "-".join(["", *sides.labels]))
    return replace(job, runtimes=sides.runtimes, settings=settings)


def _print_summary(record: "Record", verdict: "Verdict", out: Path) -> None:
    from rich.console import Console

    from bitcliff.questions.difference.page import difference_lines
    from bitcliff.questions.difference.record import KEY, Difference
    from bitcliff.questions.runtimes.page import runtimes_lines
    from bitcliff.report import render_summary

    render_summary(record, verdict, Console())
    figures = record.answer(KEY, Difference)
    for line in [*(difference_lines(record, figures) if figures else ()), *runtimes_lines(record)]:
        click.echo(line)
    click.echo(f"Report: {out / 'report.html'}")
