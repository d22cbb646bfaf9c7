"""`bitcliff export`: the quantized network as a file that runs elsewhere."""

from pathlib import Path

import click

from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.output import reader_may_leave


@click.command(short_help="Write RUN's network as an ONNX file that quantizes as it did.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--policy", help="The run's policy that decides on the bits; see above.")
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    help="A plan.yaml: its points in float and its scheme are taken instead of the run's, and "
    "uniform-B is raised to its floors. With it --policy is uniform-B, for any B, or left out.",
)
@click.option(
    "--runtime",
    help="Write instead what this runtime's own quantization makes of it: ort-dynamic, with "
    "options as in `bitcliff assess`. The plan's points in float stay so.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file.  [default: RUN/POLICY.onnx]"
)
def export(
    run: Path, policy: str | None, plan: Path | None, runtime: str | None, out: Path | None
) -> int:
    """Write RUN's network as an ONNX file that quantizes each example as the run did.

    RUN is the directory of a finished `bitcliff assess`. Range, scale, zero point, rounding and
    clamp of every point are in the graph; weights are stored rounded. Where the bits come from
    depends on --policy:

    \b
    one allocation for all (uniform-*, *-static-*)  constants in the graph
    co-trained-*                  the policy network and its exact solver, in the graph;
                                  a second output `bits`
    any other, or no --policy     a second input `bits` (batch, points), int64;
                                  those of the run are in its record.json

    A graph cannot refuse bad bits: of the widths outside 2 to 16, 0 and 1 give NaN and larger ones
    an error of the runtime; sums and floors are for the caller to keep. An example whose values
    are not finite passes points as it is, so its scores are NaN.
    """
    from bitcliff.adapters.runtimes import read_runtime
    from bitcliff.run.export_job import ExportJob, run_export
    from bitcliff.run.plan_file import of_plan

    with Display() as display, stdout_set_aside(), of_plan(plan):
        display.waiting = None
        choice = None if runtime is None else read_runtime(runtime)
        file = run_export(ExportJob(run, policy, plan, out, choice), display.listener())
    with reader_may_leave():
        click.echo(f"Written: {file}")
    return 0
