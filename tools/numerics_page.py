"""Writes docs/numerics.md: every shipped format, and how it was held to what ships it.

python tools/numerics_page.py [VALUES] > docs/numerics.md
"""

import sys
from collections.abc import Iterator

from bitcliff.adapters.oracles import Conformance, check
from bitcliff.types.presets import PRESETS, Format

HEAD = """# Shipped formats

`bitcliff assess MODEL --numerics NAME` rounds a network's weights and activations as the program
that ships the format does, or attention's keys and values, operation by operation; matrix products
themselves are in float32.
`bitcliff numerics` prints this list, `bitcliff numerics NAME --check` repeats the comparison.
Written by `python tools/numerics_page.py {values}`.

A *token* is a vector along the axis that the layer sums over; a *block* is a stretch of it. Bits
count the scales of blocks. A format is *isolated* if no scale is shared by the examples of a batch.
Formats without a program that runs on a processor are held against a second writing of the formula
in numpy ("formula"): that shows that we do what we say, not that we say what the program does.
Values compared are normal, heavy-tailed, ties, about the least normal number, zeros of either sign,
with one outlier, one-sided, huge; float32, bfloat16 and, where the oracle takes it, float16; rows
of 256 and, where blocks need not be whole, of 253.

| format | bits | isolated | activations | weights | read in |
|---|---|---|---|---|---|
"""
CHECKED = """
## Held against

| format | oracle | values | differ | zeros whose sign differs |
|---|---|---|---|---|
"""


def page(found: list[Conformance], values: int) -> str:
    """The whole page."""
    formats = "".join(_row(name, preset) for name, preset in PRESETS.items())
    return HEAD.format(values=values) + formats + CHECKED + "".join(map(_compared, found))


def _row(name: str, preset: Format) -> str:
    activations, weights, cache = preset.activations, preset.weights, preset.cache
    values = preset.of_values
    bits = f"{float(values[0].bits):g}" if values else ""
    cells = (
        f"`{name}`",
        bits,
        "yes" if preset.isolated else "**no**",
        activations.formula
        if activations
        else f"float; keys and values {cache.formula}"
        if cache
        else "float",
        weights.formula if weights else "float",
        preset.read_in,
    )
    return f"| {' | '.join(cells)} |\n"


def _compared(one: Conformance) -> str:
    return f"| `{one.name}` | {one.against} | {one.values:,} | {one.mismatches} | {one.signs:,} |\n"


def _all(values: int) -> Iterator[Conformance]:
    for name in PRESETS:
        yield from check(name, values)


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    sys.stdout.write(page(list(_all(asked)), asked))
