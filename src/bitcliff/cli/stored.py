"""`bitcliff gate` and `bitcliff report`: work on a stored record, run no model."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bitcliff.cli.output import reader_may_leave

if TYPE_CHECKING:
    from bitcliff.record import Record
    from bitcliff.verdict import Verdict


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--max-drop",
    type=float,
    default=2.0,
    show_default=True,
    help="Points of accuracy that may be lost.",
)
@click.option(
    "--max-score-drop",
    type=float,
    help="Instead, where outcomes have scores: points by which the mean score may fall (F1 of "
    "boxes, mean IoU, share of tokens) or the mean word error rate may rise.",
)
@click.option(
    "--policy",
    help="Judge this policy only; by default what is deployed, else every worst case found.",
)
@click.option(
    "--max-provoked",
    type=float,
    help="For a run of `bitcliff provoke`: per cent of examples that may be made to fail.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.option(
    "--as",
    "form",
    type=click.Choice(["markdown", "sarif", "junit", "model-card"]),
    help="Print it for a pull request, for code scanning, as tests, or the figures for a model's "
    "card.",
)
def gate(
    run: Path,
    max_drop: float,
    max_score_drop: float | None,
    policy: str | None,
    max_provoked: float | None,
    as_json: bool,
    form: str | None,
) -> int:
    """Judge a stored run against a threshold.

    RUN is a run directory or a record.json.

    Exit codes: 0 pass, 1 fail, 2 bad input, 3 inconclusive.
    """
    import json
    from dataclasses import asdict

    from bitcliff.report.basis import warnings
    from bitcliff.run.run_directory import finished_record
    from bitcliff.verdict import EXIT_CODES, judge

    if max_provoked is not None:
        _refuse_beside("max_provoked", ("max_drop", "max_score_drop", "policy", "form"))
        return _gate_provoked(run, max_provoked, as_json)
    name, limit = _limit(max_drop, max_score_drop)
    record = finished_record(run)
    verdict = judge(record, limit, policy, of_scores=name == "max_score_drop")
    weights = record.provenance.weights_sha256
    if form is not None:
        _refuse_beside("form", ("as_json",))
    with reader_may_leave():
        if form is not None:
            click.echo(_in_form(form, record, verdict), nl=False)
        elif as_json:
            subject = {"model": record.subject.model, "weights_sha256": weights}
            told = subject | {name: limit} | asdict(verdict)
            told["warnings"] = warnings(record)
            click.echo(json.dumps(told, indent=2))
        else:
            click.echo(verdict.sentence)
            click.echo(f"{record.subject.model} (weights {weights[:12]}) on {record.subject.data}")
            others = [j.sentence for j in verdict.judgements if j.sentence != verdict.sentence]
            click.echo("".join(f"  {sentence}\n" for sentence in others), nl=False)
            click.echo("".join(f"Warning: {one}\n" for one in warnings(record)), nl=False)
    return EXIT_CODES[verdict.status]


def _in_form(form: str, record: "Record", verdict: "Verdict") -> str:
    from bitcliff import __version__
    from bitcliff.report.basis import warnings
    from bitcliff.report.elsewhere import render_markdown, render_model_card, render_sarif
    from bitcliff.report.junit import render_junit

    if form == "junit":
        return render_junit(record, verdict)
    if form == "markdown":
        return render_markdown(record, verdict, warnings(record))
    if form == "sarif":
        return render_sarif(record, verdict, __version__)
    return render_model_card(record)


def _limit(max_drop: float, max_score_drop: float | None) -> tuple[str, float]:
    """Of decisions or, where it is given, of the mean score: its name, and how many points."""
    if max_score_drop is None:
        return "max_drop", max_drop
    _refuse_beside("max_score_drop", ("max_drop",))
    return "max_score_drop", max_score_drop


def _refuse_beside(given: str, idle: tuple[str, ...]) -> None:
    """An option without effect would let the user believe that it had one."""
    from bitcliff.errors import InputError

    context = click.get_current_context()
    for name in idle:
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            words = {"form": "as", "as_json": "json"}
            one, other = (words.get(word, word).replace("_", "-") for word in (name, given))
            raise InputError(f"--{one} has no effect with --{other}; leave one of them out")


def _gate_provoked(run: Path, limit: float, as_json: bool) -> int:
    import json

    from bitcliff.questions.provocation import page
    from bitcliff.questions.provocation.statistics import judged
    from bitcliff.questions.provocation.store import PROVOKE
    from bitcliff.questions.provocation.universal import page as universal_page
    from bitcliff.questions.provocation.universal.store import UNIVERSAL
    from bitcliff.run.run_directory import finished_measurement, holds
    from bitcliff.types.settings import ProvokeSettings
    from bitcliff.verdict import EXIT_CODES

    ProvokeSettings(max_provoked=limit)  # as the command itself checks it
    if holds(run, UNIVERSAL):
        scan = finished_measurement(run, UNIVERSAL)
        line, provoked = universal_page.verdict_line(scan, limit), scan.figures.provoked
        failing = scan.figures.failing
    else:
        record = finished_measurement(run, PROVOKE)
        line, provoked = page.verdict_line(record, limit), record.figures.provoked
        failing = record.figures.failing
    status = judged(provoked, limit)
    with reader_may_leave():
        if as_json:
            told = {"max_provoked": limit, "status": status, "provoked": provoked.model_dump()}
            told["failing_as_they_are"] = failing.model_dump()
            click.echo(json.dumps(told, indent=2))
        else:
            click.echo(line)
    return EXIT_CODES[status]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--max-drop", type=float, help="Judge by another threshold than the run's own.")
@click.option("--max-score-drop", type=float, help="Judge by the mean score, as `gate` does.")
def report(run: Path, max_drop: float | None, max_score_drop: float | None) -> int:
    """Draw a run's report again from its record.

    RUN is a run directory; report.html, junit.xml and examples.csv in it are replaced.
    """
    from bitcliff.questions.sections import write_run_report
    from bitcliff.run.run_directory import finished_record
    from bitcliff.verdict import judge

    record = finished_record(run)
    own = record.settings.max_drop if max_drop is None else max_drop
    name, limit = _limit(own, max_score_drop)
    verdict = judge(record, limit, of_scores=name == "max_score_drop")
    directory = run if run.is_dir() else run.parent
    write_run_report(record, verdict, directory)
    with reader_may_leave():
        click.echo(f"Report: {directory / 'report.html'}")
    return 0
