"""`bitcliff batchmates`: whether one example changes another's prediction in a shared batch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.assess import assess, formats_of, named_job, subject_options
from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.options import SettingsCommand, options_of, settings_from
from bitcliff.cli.output import reader_may_leave

if TYPE_CHECKING:
    from bitcliff.types.presets import Format

# What names the model and its data is the same for both commands.
_AS_FOR_ASSESS = ("data", "weights", "threads")


def _settings_options() -> list[click.Option]:
    from bitcliff.types.settings import BatchmatesSettings

    return [*options_of(BatchmatesSettings), *subject_options()]


@click.command(
    cls=SettingsCommand,
    made=_settings_options,
    params=[option for option in assess.params if option.name in _AS_FOR_ASSESS],
)
@click.argument("model", default="efficientnet-lite0")
@click.option("--runtime", default="ort-dynamic", show_default=True, help="Who quantizes and runs.")
@click.option(
    "--numerics",
    help="Instead of a runtime, a shipped format (`bitcliff numerics`) or FILE.yaml, simulated.",
)
@click.option("--examples", default=60, show_default=True, help="Victims, at most; 0 keeps all.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run directory; an earlier run in it is replaced.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the record on stdout.")
def batchmates(**options: Any) -> int:
    """Find victims whose prediction flips beside a chosen or crafted companion in their batch.

    Runtimes that take one scale for a whole batch let one example change another's prediction. Each
    victim is run alone, in random batches, and beside the worst companions that can be found. With
    --numerics it is first told whether the format isolates examples by construction: then there is
    nothing to look for.

    Exit codes: 0 done, 2 bad input.
    """
    from bitcliff.adapters.runtimes import read_runtime
    from bitcliff.questions.batchmates.page import batchmates_lines
    from bitcliff.questions.batchmates.store import BATCHMATES
    from bitcliff.run.batchmates_job import BatchmatesJob, run_batchmates
    from bitcliff.types.settings import BatchmatesSettings

    numerics = _format_of(options)
    if numerics is not None and numerics[1].isolated:
        _tell_isolated(*numerics, as_json=options["as_json"])
        return 0
    with Display() as display, stdout_set_aside():
        settings = settings_from(BatchmatesSettings, options)
        what = named_job(options, "-batchmates")
        job = BatchmatesJob(what, read_runtime(options["runtime"]), numerics, settings)
        record = run_batchmates(job, display.listener())
    with reader_may_leave():
        if options["as_json"]:
            click.echo(BATCHMATES.json(record).encode("utf-8", "backslashreplace"), nl=False)
        else:
            click.echo("\n".join(batchmates_lines(record)))
            click.echo(f"Report: {what.out / 'report.html'}")
    return 0


def _format_of(options: dict[str, Any]) -> "tuple[str, Format] | None":
    """The format of --numerics, and its name."""
    from bitcliff.errors import InputError
    from bitcliff.types.presets import preset

    if options["numerics"] is None:
        return None
    source = click.get_current_context().get_parameter_source("runtime")
    if source is not click.core.ParameterSource.DEFAULT:
        raise InputError("--numerics is simulated: leave out --runtime")
    (name,), formats = formats_of("--numerics", [options["numerics"]])
    return name, formats.get(name) or preset(name, f"--numerics {name}")


def _tell_isolated(name: str, shipped: "Format", as_json: bool) -> None:
    with reader_may_leave():
        if as_json:
            click.echo(json.dumps({"numerics": name, "isolated": True}))
            return
        click.echo(
            f"{name} isolates examples by construction: no scale is shared between them "
            f"({shipped.formula}). There is no batch-mate to look for, and nothing was run."
        )
