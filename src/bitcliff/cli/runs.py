"""`bitcliff runs`: many run folders as one table, two of them compared, a model's history."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bitcliff.cli.display import Display
from bitcliff.cli.output import print_json, reader_may_leave
from bitcliff.cli.values import Day

if TYPE_CHECKING:
    from bitcliff.record import Record
    from bitcliff.record.across import Across
    from bitcliff.record.summary import Figure, Run
    from bitcliff.run.archive.tracking import Kept, Tracker

_FILTERS = ("model", "numerics", "threat", "verdict", "command", "since", "until")
_OF_A_TABLE = ("folders", *_FILTERS, "store", "csv", "parquet", "page", "to")
_FILE = click.Path(path_type=Path)
# Of the table's columns, what is left where all do not fit.
_NARROWER = (
    ("run", "began", "model", "n", "verdict", "worst change"),
    ("run", "n", "verdict", "worst change"),
)
# Ids that the terminal lists of each condition.
_LISTED = 12


@click.command(short_help="List runs, compare two, or draw a model's history.")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model", help="Only models that fit this pattern, such as 'timm:resnet*'.")
@click.option("--numerics", help="Only with a figure in a format or runtime that fits this.")
@click.option(
    "--threat",
    type=click.Choice(["none", "allocation", "input", "company", "co-trained"]),
    help="Only with a figure at this threat level.",
)
@click.option(
    "--verdict",
    type=click.Choice(["pass", "fail", "inconclusive"]),
    help="Only runs that ended so, by their own threshold.",
)
@click.option(
    "--command",
    type=click.Choice(
        ["assess", "diff", "explain", "guard", "isolate", "provoke", "train", "verify"]
    ),
    help="Only runs that this command made or worked on.",
)
@click.option("--since", type=Day(), help="Begun on this day or later, UTC, as in 2026-11-30.")
@click.option("--until", type=Day(), help="Begun on this day or before.")
@click.option(
    "--compare", nargs=2, type=_FILE, metavar="A B", help="What got worse from run A to run B."
)
@click.option(
    "--by-name",
    is_flag=True,
    help="With --compare: examples with the same name and label count as the same, whatever inputs "
    "the networks are given.",
)
@click.option("--csv", type=_FILE, help="Write the table here, a row for each figure.")
@click.option("--parquet", type=_FILE, help="The same as parquet.")
@click.option("--page", type=_FILE, help="Write the history of these runs as one HTML page.")
@click.option(
    "--store",
    type=_FILE,
    help="Keep the table in this SQLite file, so that only what has changed is read again.",
)
@click.option(
    "--to",
    metavar="TRACKER",
    help="Put these runs into MLflow, `mlflow` or `mlflow:URI`, or Weights & Biases, `wandb` or "
    "`wandb:PROJECT`. "
    "One that is there already is reported and left alone.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def runs(**options: Any) -> int:
    """List the runs at or below FOLDERS (by default `runs`), or compare two.

    Every record is read and its figures worked out anew: one that is damaged, cut short or changed
    by hand is listed as refused, with the reason, whatever is asked for.

    Exit codes: 0 done, 2 bad input; with --to also where a run is refused, after the others are
    put there.
    """
    from bitcliff.errors import InputError

    if options["compare"]:
        idle = [name for name in _OF_A_TABLE if options[name]]
        if idle:
            name = "FOLDERS" if idle[0] == "folders" else f"--{idle[0]}"
            raise InputError(f"{name}: no effect with --compare; leave it out")
        a, b = options["compare"]
        return _compare(a, b, options["by_name"], options["as_json"])
    if options["by_name"]:
        raise InputError("--by-name has no effect without --compare; leave it out")
    return _list(options)


def _list(options: dict[str, Any]) -> int:
    import json
    from dataclasses import asdict

    from bitcliff.record import check_writable
    from bitcliff.run.archive.database import Wanted, opened
    from bitcliff.run.archive.tracking import tracker

    for name in ("csv", "parquet", "page"):
        if options[name]:
            check_writable(options[name], f"--{name}")
    put = tracker(options["to"]) if options["to"] is not None else None
    asked = {name: options[name] for name in _FILTERS}
    with opened(options["store"]) as archive, Display() as display:
        archive.update(options["folders"] or (Path("runs"),), display.progress)
        found, refused = archive.runs(Wanted(**asked)), archive.refused()
    written = _write(found, refused, options)
    kept = {} if put is None else _put(found, refused, put)
    with reader_may_leave():
        if options["as_json"]:
            told = {"runs": [asdict(run) for run in found]}
            told["refused"] = [asdict(run) for run in refused]
            if put is not None:
                told["to"] = [{"path": path, **asdict(one)} for path, one in kept.items()]
            print_json(json.dumps(told, indent=2) + "\n")
        else:
            _print_table(found)
            click.echo("".join(f"Refused: {run.refused}\n" for run in refused), nl=False)
            click.echo("".join(f"Written: {file}\n" for file in written), nl=False)
            click.echo("".join(map(_kept_line, kept.items())), nl=False)
    return 2 if put is not None and refused else 0


def _write(found: "Sequence[Run]", refused: "Sequence[Run]", options: dict[str, Any]) -> list[Path]:
    if options["csv"]:
        from bitcliff.run.archive.tables import write_csv

        write_csv([*found, *refused], options["csv"])
    if options["parquet"]:
        from bitcliff.run.archive.tables import write_parquet

        write_parquet([*found, *refused], options["parquet"])
    if options["page"]:
        _write_page(found, options["page"])
    return [options[name] for name in ("csv", "parquet", "page") if options[name]]


def _put(found: "Sequence[Run]", refused: "Sequence[Run]", put: "Tracker") -> "dict[str, Kept]":
    from bitcliff.errors import InputError
    from bitcliff.run.archive.tracking import entry_of

    if not found and not refused:
        raise InputError("--to: there is no such run")
    return {run.path: put(entry_of(run)) for run in found}


def _kept_line(one: "tuple[str, Kept]") -> str:
    from bitcliff.report.formatting import clean

    path, kept = one
    what = "Logged" if kept.new else "Already there"
    return f"{what}: {clean(path, 400)}, as {clean(kept.at, 400)}\n"


def _write_page(found: "Sequence[Run]", file: Path) -> None:
    from bitcliff.errors import InputError
    from bitcliff.record import write_text_atomic
    from bitcliff.report.history import render_history
    from bitcliff.run.run_directory import finished_record

    assessed = [run for run in found if run.command in ("assess", "diff")]
    if not assessed:
        raise InputError("--page: none of these runs is an assessment, so there is no history")
    records = [(run, finished_record(Path(run.path))) for run in assessed]
    write_text_atomic(file, render_history(records))


def _print_table(found: "Sequence[Run]") -> None:
    from rich.console import Console
    from rich.table import Table

    from bitcliff.report.console import fitting
    from bitcliff.report.formatting import NOTHING, clean

    rows = [
        {
            "run": clean(run.path),
            "began": clean(run.started[:16].replace("T", " ")),
            "command": ", ".join(filter(None, [run.command, run.also])),
            "model": clean(run.model),
            "data": clean(run.data),
            "n": NOTHING if run.examples is None else str(run.examples),
            "verdict": run.verdict or NOTHING,
            "worst change": _worst(run.figures),
        }
        for run in found
    ]

    def table(columns: "Sequence[str]") -> Table:
        made = Table(box=None, pad_edge=False, header_style="bold")
        for heading in columns:
            made.add_column(heading, overflow="fold")
        for row in rows:
            made.add_row(*(row[heading] for heading in columns))
        return made

    console = Console(markup=False, highlight=False)
    if rows:
        console.print(fitting(map(table, (list(rows[0]), *_NARROWER)), console))
    click.echo(f"{len(found)} run{'s' if len(found) != 1 else ''}")


def _worst(figures: "Sequence[Figure]") -> str:
    """Of what is judged, or else of all that is shown, what fell the most, with its interval."""
    from bitcliff.report.formatting import NOTHING, clean, signed

    fallen = [one for one in figures if one.change_pp is not None]
    if not fallen:
        return NOTHING
    judged = [one for one in fallen if one.verdict is not None]
    one = min(judged or fallen, key=lambda figure: figure.change_pp or 0.0)
    ends = f"{signed(one.change_low)} to {signed(one.change_high)}"
    return f"{clean(one.name, 40)} {signed(one.change_pp)} ({ends})"


def _compare(a: Path, b: Path, by_name: bool, as_json: bool) -> int:
    import json

    from bitcliff.record.across import compare_runs
    from bitcliff.run.run_directory import finished_record

    before, after = finished_record(a), finished_record(b)
    found = compare_runs(before, after, by_name)
    with reader_may_leave():
        if as_json:
            told = {"a": str(a), "b": str(b), "compared": [_as_json(one) for one in found]}
            print_json(json.dumps(told, indent=2) + "\n")
        else:
            _print_comparison(a, b, after, found)
    return 0


def _as_json(one: "Across") -> dict[str, Any]:
    return {
        "name": one.name,
        "n": int(one.pair.both.sum()),
        "differ": int(one.pair.differ.sum()),
        "change": one.change and one.change.model_dump(),
        "p_holm": one.p_holm,
        "direction": one.direction,
        "lost": list(one.lost),
        "failures": list(one.failures),
        "methods": one.methods and list(one.methods),
    }


def _print_comparison(a: Path, b: Path, after: "Record", found: "Sequence[Across]") -> None:
    from rich.console import Console
    from rich.table import Table

    from bitcliff.report.formatting import clean
    from bitcliff.report.history import change_cells

    worse = [clean(one.name, 40) for one in found if one.direction < 0]
    told = f"got worse: {', '.join(worse)}" if worse else "nothing is shown to have got worse"
    click.echo(f"From {clean(str(a))} to {clean(str(b))}, on {len(after.table)} examples: {told}.")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("", "n", "lost", "gained", "points (95 %)", "Holm p", ""):
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(clean(one.name, 40), *change_cells(one))
    Console(markup=False, highlight=False).print(table)
    if len(found) == 1 and after.policies:
        click.echo("The two runs have nothing in common but float: no policy, format or runtime.")
    for one in found:
        if one.lost:
            more = f" and {len(one.lost) - _LISTED} more" if len(one.lost) > _LISTED else ""
            ids = ", ".join(clean(name, 60) for name in one.lost[:_LISTED])
            click.echo(f"{clean(one.name, 40)}, right before and not after: {ids}{more}")
