"""`bitcliff provoke`: inputs near the data on which float is right and a format is not."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.assess import assess, format_of, named_job, subject_options
from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.options import SettingsCommand, options_of, settings_from
from bitcliff.cli.output import print_json, reader_may_leave

if TYPE_CHECKING:
    from bitcliff.questions.provocation.record import Provocation
    from bitcliff.questions.provocation.universal.record import Universal
    from bitcliff.run.provoke_job import ProvokeJob
    from bitcliff.types.bits_by import BitsBy
    from bitcliff.types.presets import Format
    from bitcliff.types.settings import ProvokeSettings

_USUAL_FORMAT = "ort-uint8"
# What names the model and its data is the same for both commands.
_AS_FOR_ASSESS = ("data", "weights", "threads")


def _settings_options() -> list[click.Option]:
    from bitcliff.types.settings import ProvokeSettings

    return [*options_of(ProvokeSettings), *subject_options()]


@click.command(
    short_help="Look for inputs that float gets right and a format does not.",
    cls=SettingsCommand,
    made=_settings_options,
    params=[option for option in assess.params if option.name in _AS_FOR_ASSESS],
)
@click.argument("model", default="efficientnet-lite0")
@click.option(
    "--numerics",
    help="A shipped format (`bitcliff numerics` lists them), or FILE.yaml with your own.  "
    f"[default: {_USUAL_FORMAT}]",
)
@click.option(
    "--policy",
    help="Bits by the input in place of a format: uniform:5.5; margin:4,8,1/8 (4 bits, and of "
    "eight inputs the least sure again at 8); co-trained; or the policy.safetensors of a pair.",
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

    Float must be right there by --delta, so that no near tie counts. Sets that have gradients are
    searched in two ways. Two controls stand beside them: random inputs at equal cost, and a search
    that must find nothing, of float against float nudged by a millionth.

    With --universal it looks instead for one trigger that turns all inputs to a class, for each
    class in turn.

    Exit codes: 0 done (with --max-provoked: passed), 1 the gate failed, 2 bad input, 3
    inconclusive.
    """
    from bitcliff.questions.provocation.statistics import judged
    from bitcliff.run.provoke_job import run_provoke, run_universal
    from bitcliff.verdict import EXIT_CODES

    with Display() as display, stdout_set_aside():
        job = _job(options)
        run = run_universal if job.settings.universal else run_provoke
        record = run(job, display.listener())
    limit = job.settings.max_provoked
    written, lines = _told(record, limit)
    with reader_may_leave():
        if options["as_json"]:
            print_json(written)
        else:
            click.echo("\n".join(lines))
            click.echo(f"Report: {job.what.out / 'report.html'}")
    return 0 if limit is None else EXIT_CODES[judged(record.figures.provoked, limit)]


def _told(record: "Provocation | Universal", limit: float | None) -> tuple[str, list[str]]:
    """As JSON, and for the terminal."""
    from bitcliff.questions.provocation.page import provocation_lines
    from bitcliff.questions.provocation.record import ProvocationObserved
    from bitcliff.questions.provocation.store import PROVOKE
    from bitcliff.questions.provocation.universal.page import universal_lines
    from bitcliff.questions.provocation.universal.store import UNIVERSAL

    if isinstance(record.observed, ProvocationObserved):
        return PROVOKE.json(record), provocation_lines(record, limit)
    return UNIVERSAL.json(record), universal_lines(record, limit)


def _set_against_float(
    options: dict[str, Any], settings: "ProvokeSettings"
) -> "tuple[str, Format | BitsBy]":
    from bitcliff.errors import InputError
    from bitcliff.types.bits_by import read_bits_by
    from bitcliff.types.settings import ProvokeSettings

    if options["policy"] is None:
        for name in ("company", "scheme"):
            if getattr(settings, name) != ProvokeSettings.model_fields[name].default:
                raise InputError(f"--{name} has no effect without --policy; leave it out")
        return format_of("--numerics", options["numerics"] or _USUAL_FORMAT)
    if options["numerics"] is not None:
        raise InputError("--numerics has no effect with --policy; leave one of them out")
    return options["policy"], read_bits_by(options["policy"])


def _job(options: dict[str, Any]) -> "ProvokeJob":
    from bitcliff.run.provoke_job import ProvokeJob
    from bitcliff.types.settings import ProvokeSettings

    settings = settings_from(ProvokeSettings, options)
    name, shipped = _set_against_float(options, settings)
    what = named_job(options, "-provoke")
    return ProvokeJob(what, name, shipped, options["guard"], settings)
