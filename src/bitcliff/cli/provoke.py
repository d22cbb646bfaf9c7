"""`bitcliff provoke`: inputs near the data on which float is right and a format is not."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.assess import assess, format_of, named_job, subject_options
from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.options import SettingsCommand, options_of, settings_from
from bitcliff.cli.output import print_json, reader_may_leave

if TYPE_CHECKING:
    from bitcliff.run.provoke_job import ProvokeJob

# What names the model and its data is the same for both commands.
_AS_FOR_ASSESS = ("data", "weights", "threads")


def _settings_options() -> list[click.Option]:
    from bitcliff.types.settings import ProvokeSettings

    return [*options_of(ProvokeSettings), *subject_options()]


@click.command(
    cls=SettingsCommand,
    made=_settings_options,
    params=[option for option in assess.params if option.name in _AS_FOR_ASSESS],
)
@click.argument("model", default="efficientnet-lite0")
@click.option(
    "--numerics",
    default="ort-uint8",
    show_default=True,
    help="A shipped format (`bitcliff numerics` lists them), or FILE.yaml with one's own.",
)
@click.option(
    "--guard",
    type=click.Path(path_type=Path),
    help="A run of `bitcliff guard` in the same format: what fails must also get past it.",
)
@click.option("--examples", default=60, show_default=True, help="Examples kept; 0 keeps all.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run directory; an earlier run in it is replaced.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the record on stdout.")
def provoke(**options: Any) -> int:
    """Look near each example for an input on which float is right and the format is wrong.

    Float must be right there by --delta, so that no near tie counts. Each set is searched by two
    ways where it has gradients, beside random inputs at equal cost and a search that must find
    nothing: float against float nudged by a millionth.

    Exit codes: 0 done (with --max-provoked: passed), 1 the gate failed, 2 bad input, 3
    inconclusive.
    """
    from bitcliff.questions.provocation.page import provocation_lines
    from bitcliff.questions.provocation.statistics import judged
    from bitcliff.questions.provocation.store import PROVOKE
    from bitcliff.run.provoke_job import run_provoke
    from bitcliff.verdict import EXIT_CODES

    with Display() as display, stdout_set_aside():
        job = _job(options)
        record = run_provoke(job, display.listener())
    limit = job.settings.max_provoked
    with reader_may_leave():
        if options["as_json"]:
            print_json(PROVOKE.json(record))
        else:
            click.echo("\n".join(provocation_lines(record, limit)))
            click.echo(f"Report: {job.what.out / 'report.html'}")
    return 0 if limit is None else EXIT_CODES[judged(record.figures, limit)]


def _job(options: dict[str, Any]) -> "ProvokeJob":
    from bitcliff.run.provoke_job import ProvokeJob
    from bitcliff.types.settings import ProvokeSettings

    name, shipped = format_of("--numerics", options["numerics"])
    settings = settings_from(ProvokeSettings, options)
    what = named_job(options, "-provoke")
    return ProvokeJob(what, name, shipped, options["guard"], settings)
