"""`bitcliff batchmates`: whether one example changes another's prediction in a shared batch."""

from pathlib import Path
from typing import Any

import click

from bitcliff.cli.assess import assess, named_job
from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.output import reader_may_leave

# What names the model and its data is the same for both commands.
_AS_FOR_ASSESS = (
    *("data", "weights", "num_classes", "image_size", "mean", "std", "crop", "interpolation"),
    *("split", "seed", "threads"),
)


@click.command(params=[option for option in assess.params if option.name in _AS_FOR_ASSESS])
@click.argument("model", default="efficientnet-lite0")
@click.option("--runtime", default="ort-dynamic", show_default=True, help="Who quantizes and runs.")
@click.option("--batch", default=8, show_default=True, help="Examples in a full batch.")
@click.option("--examples", default=60, show_default=True, help="Victims, at most; 0 keeps all.")
@click.option("--draws", default=20, show_default=True, help="Random batches for each victim.")
@click.option(
    "--candidates", default=100, show_default=True, help="Companions from the data for each victim."
)
@click.option(
    "--effort", default=100, show_default=True, help="Runs of each crafted attack on each victim."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run directory; an earlier run in it is replaced.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the record on stdout.")
def batchmates(**options: Any) -> int:
    """Find victims whose prediction flips beside a chosen or crafted companion in their batch.

    Runtimes that take one scale for a whole batch let one example change another's prediction. Each
    victim is run alone, in random batches, and beside the worst companions that can be found.

    Exit codes: 0 done, 2 bad input.
    """
    from bitcliff.jobs.batchmates_job import BatchmatesJob, run_batchmates
    from bitcliff.questions.batchmates.page import batchmates_lines
    from bitcliff.questions.batchmates.settings import BatchmatesSettings
    from bitcliff.questions.batchmates.store import batchmates_json

    with Display() as display, stdout_set_aside():
        settings = BatchmatesSettings(
            **{name: options[name] for name in ("batch", "draws", "candidates", "effort", "seed")}
        )
        what = named_job(options, "-batchmates")
        job = BatchmatesJob(what, options["runtime"], settings)
        record = run_batchmates(job, display.listener())
    with reader_may_leave():
        if options["as_json"]:
            click.echo(batchmates_json(record).encode("utf-8", "backslashreplace"), nl=False)
        else:
            click.echo("\n".join(batchmates_lines(record)))
            click.echo(f"Report: {what.out / 'report.html'}")
    return 0
