"""`bitcliff numerics`: the shipped formats, and whether they round as what ships them."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bitcliff.cli.display import Display, stdout_set_aside
from bitcliff.cli.output import reader_may_leave

if TYPE_CHECKING:
    from bitcliff.adapters.oracles import Conformance
    from bitcliff.types.presets import Format


@click.command()
@click.argument("names", nargs=-1)
@click.option("--check", is_flag=True, help="Hold each to the program that ships it, bit for bit.")
@click.option(
    "--values",
    type=click.IntRange(1),
    default=1_000_000,
    show_default=True,
    help="With --check: how many to compare for each.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def numerics(names: tuple[str, ...], check: bool, values: int, as_json: bool) -> int:
    """List shipped formats with their formula, source and oracle.

    NAMES: of presets; all by default.

    Exit codes: 0 done (with --check: all equal), 1 with --check: a value differs, 2 bad input.
    """
    from bitcliff.types.presets import PRESETS, preset

    chosen = {name: preset(name) for name in names or PRESETS}
    if check:
        return _check(chosen, values, as_json)
    with reader_may_leave():
        if as_json:
            told = {name: found.model_dump(mode="json") for name, found in chosen.items()}
            click.echo(json.dumps(told, indent=2))
        else:
            click.echo("".join(_told(name, found) for name, found in chosen.items()), nl=False)
    return 0


def _told(name: str, found: "Format") -> str:
    values = found.of_values
    bits = f"{float(values[0].bits):g} bits" if values else "weights alone"
    company = "" if found.isolated else "; a scale is shared by a batch"
    return (
        f"{name}: {bits}{company}\n    {found.formula}\n"
        f"    read in {found.read_in}; held against {found.oracle}\n"
    )


def _check(names: Iterable[str], values: int, as_json: bool) -> int:
    from bitcliff.adapters.oracles import check

    found: list[Conformance] = []
    with Display() as display, stdout_set_aside():
        listener = display.listener()
        for name in names:
            listener.stage(f"Holding {name} to its oracle")
            found += check(name, values)
    with reader_may_leave():
        if as_json:
            click.echo(json.dumps([asdict(one) for one in found], indent=2))
        else:
            click.echo("".join(_compared(one) for one in found), nl=False)
    return int(any(one.mismatches for one in found))


def _compared(one: "Conformance") -> str:
    verdict = "equal" if not one.mismatches else f"{one.mismatches} differ; first: {one.worst}"
    signs = f", but for the sign of {one.signs} zeros" if one.signs else ""
    return f"{one.name}: {one.values} values against {one.against}: {verdict}{signs}\n"
