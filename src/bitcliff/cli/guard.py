"""`bitcliff guard`: at run time, which inputs must be run again in float."""

from pathlib import Path
from typing import Any

import click

from bitcliff.cli.assess import assess, format_of, named_job, subject_options
from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.options import SettingsCommand, options_of, settings_from
from bitcliff.cli.output import print_json, reader_may_leave

# What names the model and its data is the same for both commands.
_AS_FOR_ASSESS = ("data", "weights", "threads")


def _settings_options() -> list[click.Option]:
    from bitcliff.types.guard import GuardSettings

    return [*options_of(GuardSettings), *subject_options()]


@click.command(
    short_help="Fit a rule that says which inputs to run again in float.",
    cls=SettingsCommand,
    made=_settings_options,
    params=[option for option in assess.params if option.name in _AS_FOR_ASSESS],
)
@click.argument("model", default="brittle-digits")
@click.option("--numerics", help="What is deployed: a shipped format or FILE.yaml, simulated.")
@click.option("--examples", default=2000, show_default=True, help="Examples kept; 0 keeps all.")
@click.option(
    "--export",
    type=click.Path(path_type=Path),
    help="With --bits: the quantized network as an ONNX file with a second output `needs_float`, "
    "by a guard of the scores alone; checked in ONNX Runtime.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run directory; an earlier run in it is replaced.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the record on stdout.")
def guard(**options: Any) -> int:
    """Fit a rule that says, from the quantized pass alone, which inputs to run again in float.

    It is fitted on one part of the data, and its threshold calibrated on a second: except with a
    chance of --delta, at most a share --alpha of inputs like these is wrong by quantization and not
    flagged. It is reported on a third part, with what it costs. An input that is unlike the data,
    or made to get past the guard, is not covered.

    Exit codes: 0 done, 2 bad input.
    """
    from bitcliff.questions.guard.page import guard_lines
    from bitcliff.questions.guard.store import GUARD
    from bitcliff.run.guard_job import GuardJob, run_guard
    from bitcliff.types.guard import GuardSettings

    with Display() as display, stdout_set_aside():
        settings = settings_from(GuardSettings, options)
        what = named_job(options, "-guard")
        given = options["numerics"]
        numerics = None if given is None else format_of("--numerics", given)
        job = GuardJob(what, numerics, settings, options["export"])
        record = run_guard(job, display.listener())
    with reader_may_leave():
        if options["as_json"]:
            print_json(GUARD.json(record))
        else:
            click.echo("\n".join(guard_lines(record)))
            if options["export"]:
                click.echo(f"Written: {options['export']}")
            click.echo(f"Report: {what.out / 'report.html'}")
    return 0
