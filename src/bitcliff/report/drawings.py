"""Small drawings of the report: bits at each point, a rate with its interval, a count as squares.

Whole SVG texts for `<img>`, or shapes for an inline `<svg>`; no style attribute anywhere, which the
report's content security policy would block.
"""

import base64
from dataclasses import dataclass

from bitcliff.types.rate import Rate

_STARVED = "#d9541a"
_FED = "#7f8b9b"
_MANY = 60


@dataclass(frozen=True)
class Square:
    """One example in a row of squares: its place, and whether it counts."""

    x: int
    y: int
    on: bool


@dataclass(frozen=True)
class Squares:
    """A count drawn as squares; for many examples one bar, with `share` of it filled."""

    squares: tuple[Square, ...]
    width: int
    height: int
    share: float


def data_uri(svg: str) -> str:
    """An SVG text as an address for `<img>`: nothing to fetch, and scripts in it never run."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def bit_strip(bits: list[int], highest: int) -> str:
    """Bits at each point as bars, in the points' order; those below the mean stand out."""
    mean = sum(bits) / max(1, len(bits))
    top = max([highest, *bits])
    height = 44
    bars = []
    for index, width in enumerate(bits):
        tall = height * width / top
        colour = _STARVED if width < mean else _FED
        bars.append(
            f'<rect x="{4 * index}" y="{height - tall:.1f}" width="3" height="{tall:.1f}" '
            f'fill="{colour}"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" preserveAspectRatio="none" '
        f'viewBox="0 0 {4 * max(1, len(bits)) - 1} {height}">{"".join(bars)}</svg>'
    )


def bit_words(bits: list[int], names: list[str]) -> str:
    """The strip in words: how many points have how many bits, and which is starved most."""
    if not bits:
        return "no bits recorded"
    lowest = min(bits)
    starved = [name for name, width in zip(names, bits, strict=True) if width == lowest]
    others = f" and {len(starved) - 1} more" if len(starved) > 1 else ""
    return (
        f"{len(bits)} points, {lowest} to {max(bits)} bits, {sum(bits)} in total; "
        f"fewest at {starved[0]}{others}"
    )


def squares(rate: Rate) -> Squares:
    """k of n as n squares, k of them filled; beyond 60 there would be too many to count."""
    share = rate.value or 0.0
    if rate.n > _MANY:
        return Squares((), 190, 9, share)
    a_row, pitch = 20, 10
    items = tuple(
        Square(pitch * (index % a_row), pitch * (index // a_row), index < rate.k)
        for index in range(rate.n)
    )
    rows = -(-rate.n // a_row)
    return Squares(items, pitch * a_row, max(1, pitch * rows), share)
