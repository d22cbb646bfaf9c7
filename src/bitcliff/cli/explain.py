"""`bitcliff explain`: why a finished run broke."""

from pathlib import Path

import click

from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.output import reader_may_leave


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    "policies",
    multiple=True,
    help="Explain this policy of the run; may be given again.  [default: the deepest worst case, "
    "the network's own policy and the nearest even one]",
)
@click.option("--only", multiple=True, help="Ask only this question; may be given again.")
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
def explain(
    run: Path,
    policies: tuple[str, ...],
    only: tuple[str, ...],
    train_examples: int,
    against: Path | None,
) -> int:
    """Find out where RUN breaks, why, on which inputs, and what helps.

    RUN is the directory of a finished `bitcliff assess`; its record and report are extended.
    """
    from bitcliff.jobs.explain_job import ExplainJob, run_explain

    job = ExplainJob(run, policies, only, train_examples, against)
    with Display() as display, stdout_set_aside():
        display.waiting = None
        run_explain(job, display.listener())
    with reader_may_leave():
        click.echo(f"Report: {run / 'report.html'}")
    return 0
