"""`bitcliff explain`: why a finished run broke."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.options import SettingsCommand, options_of, settings_from
from bitcliff.cli.output import reader_may_leave
from bitcliff.errors import InputError

# The questions that an option is for.
_ONLY_FOR = {
    "train_examples": ("layers", "inputs"),
    "against": ("inputs",),
    "degrees": ("corruptions",),
    "corruption_seeds": ("corruptions",),
    "corruption_examples": ("corruptions",),
    "lengths": ("lengths",),
    "shift": ("distributions",),
    "fine_tune": ("mitigations",),
}


def _settings_options() -> list[click.Option]:
    from bitcliff.types.settings import CorruptionSettings, LengthSettings

    return options_of(CorruptionSettings) + options_of(LengthSettings)


@click.command(cls=SettingsCommand, made=_settings_options)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    "policies",
    multiple=True,
    help="Explain this policy of the run; may be given again.  [default: the deepest worst case, "
    "the network's own policy and the nearest even one; without bits, the format or runtime that "
    "loses most]",
)
@click.option(
    "--only",
    multiple=True,
    metavar="QUESTION",
    help="Ask only this: layers, activations, inputs, distributions, corruptions, lengths, "
    "indicators, mitigations or variants; may be given again.",
)
@click.option(
    "--train-examples",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Examples of the training split beside those of the run; 0 leaves it out.",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="The run of another network on the same data, such as the robust one of a pair: counts "
    "what both get right in float and RUN's policies lose.",
)
@click.option(
    "--shift",
    metavar="DATA2",
    help="Other data of the same classes, which inputs may come from instead: how much more is "
    "lost there.",
)
@click.option(
    "--fine-tune",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Epochs of fine-tuning on the training split as one more mitigation; 0 leaves it out.",
)
def explain(run: Path, **options: Any) -> int:
    """Find out where RUN breaks, why, on which inputs, and what helps.

    RUN is the directory of a finished `bitcliff assess`; its record and report are extended.
    """
    _refuse_idle(options["only"])
    from bitcliff.run.explain_job import ExplainJob, run_explain
    from bitcliff.types.settings import CorruptionSettings, LengthSettings

    with Display() as display, stdout_set_aside():
        display.waiting = None
        job = ExplainJob(
            run,
            policies=options["policies"],
            questions=options["only"],
            n_train=options["train_examples"],
            against=options["against"],
            shift=options["shift"],
            corrupting=settings_from(CorruptionSettings, options),
            lengths=settings_from(LengthSettings, options),
            fine_tune=options["fine_tune"],
            command=shlex.join(["bitcliff", *sys.argv[1:]]),
        )
        run_explain(job, display.listener())
    with reader_may_leave():
        click.echo(f"Report: {run / 'report.html'}")
    return 0


def _refuse_idle(only: tuple[str, ...]) -> None:
    """An option without effect would let the user believe in an answer that was not worked out."""
    context = click.get_current_context()
    for name, questions in _ONLY_FOR.items():
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and only and {*questions}.isdisjoint(only):
            raise InputError(
                f"--{name.replace('_', '-')} has no effect: it is for {' and '.join(questions)}, "
                f"which --only {' --only '.join(only)} leaves out; add --only {questions[0]}"
            )
