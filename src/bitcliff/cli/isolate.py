"""`bitcliff isolate`: whether one example can change another's prediction in a shared batch."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.assess import assess, format_of, named_job, subject_options
from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.options import SettingsCommand, options_of, settings_from
from bitcliff.cli.output import print_json, reader_may_leave

if TYPE_CHECKING:
    from bitcliff.types.presets import Format

# What names the model and its data is the same for both commands.
_AS_FOR_ASSESS = ("data", "weights", "threads")
_EXIT_CODES = {"proved": 0, "counterexample": 1, "open": 3}


def _settings_options() -> list[click.Option]:
    from bitcliff.types.settings import IsolationSettings

    return [*options_of(IsolationSettings), *subject_options()]


@click.command(
    short_help="Prove that no request changes another, or find one that does.",
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
def isolate(**options: Any) -> int:
    """Prove that quantization lets no request in a batch change another, or find one that does.

    With --numerics every example is followed through the network. If no two examples share a
    scale, and padding shares none with them, they are proved isolated from quantization. If not,
    and always with a runtime, which is a black box, companions are looked for: each victim is run
    alone, in random batches, and beside the worst companions that can be found.

    Exit codes: 0 proved isolated from quantization, 1 a counterexample was found, 2 bad input, 3
    neither: no proof, and no companion found.
    """
    from bitcliff.adapters.runtimes import read_runtime
    from bitcliff.questions.isolation.page import isolation_lines
    from bitcliff.questions.isolation.store import ISOLATION
    from bitcliff.run.isolate_job import IsolateJob, run_isolate
    from bitcliff.types.settings import IsolationSettings

    numerics = _format_of(options)
    with Display() as display, stdout_set_aside():
        settings = settings_from(IsolationSettings, options)
        what = named_job(options, "-isolation")
        job = IsolateJob(what, read_runtime(options["runtime"]), numerics, settings)
        record = run_isolate(job, display.listener())
    with reader_may_leave():
        if options["as_json"]:
            print_json(ISOLATION.json(record))
        else:
            click.echo("\n".join(isolation_lines(record)))
            click.echo(f"Report: {what.out / 'report.html'}")
    return _EXIT_CODES[record.figures.status]


@click.command(
    hidden=True,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def batchmates() -> int:
    """What `isolate` was called."""
    from bitcliff.errors import InputError

    raise InputError("`bitcliff batchmates` is now `bitcliff isolate`: give the same options there")


def _format_of(options: dict[str, Any]) -> "tuple[str, Format] | None":
    """The format of --numerics, and its name."""
    from bitcliff.errors import InputError

    if options["numerics"] is None:
        return None
    source = click.get_current_context().get_parameter_source("runtime")
    if source is not click.core.ParameterSource.DEFAULT:
        raise InputError("--numerics is simulated: leave out --runtime")
    return format_of("--numerics", options["numerics"])
