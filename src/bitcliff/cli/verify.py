"""`bitcliff verify`: is what was simulated what runs?"""

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
    help="Verify this policy of the run; may be given again.  [default: all that allocate bits]",
)
def verify(run: Path, policies: tuple[str, ...]) -> int:
    """Export RUN's network, run it in ONNX Runtime and compare it with what was simulated.

    RUN is the directory of a finished `bitcliff assess`; its record and report are extended.

    Exit codes: 0 every example is decided alike, 1 some are not, 2 bad input.
    """
    from rich.console import Console

    from bitcliff.questions.verification.page import render_verification
    from bitcliff.questions.verification.record import KEY, Verification
    from bitcliff.run.verify_job import VerifyJob, run_verify

    with Display() as display, stdout_set_aside():
        display.waiting = None
        record = run_verify(VerifyJob(run, policies), display.listener())
    figures = record.answer(KEY, Verification)
    assert figures is not None  # noqa: S101  (just written)
    with reader_may_leave():
        render_verification(record, figures, Console())
        click.echo(f"Report: {run / 'report.html'}")
    return 0 if figures.agrees else 1
