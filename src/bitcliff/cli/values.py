"""Reading option values: bit ranges, lists of numbers, days."""

import math
from datetime import date
from typing import Any

import click

# More than any bit-widths; a range of millions must not be built before it is refused.
_LONGEST = 100


class Widths(click.ParamType):  # type: ignore[type-arg]
    """Bit-widths or other whole numbers: a range 3:10 (both ends included), or a list 2,4,8."""

    name = "widths"

    def __init__(self, such_as: tuple[str, str] = ("3:10", "4,6,8")) -> None:
        self.such_as = such_as

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        span, some = self.such_as
        try:
            if ":" in value:
                low, high = map(int, value.split(":"))
                if not 0 <= high - low < _LONGEST:
                    self.fail(f"{value!r}: the range must increase, such as {span}", param, ctx)
                return tuple(range(low, high + 1))
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(
                f"{value!r}: give a range such as {span}, or a list such as {some}", param, ctx
            )


class Names(click.ParamType):  # type: ignore[type-arg]
    """Names separated by commas."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        return value if isinstance(value, tuple) else tuple(filter(None, value.split(",")))


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """Numbers separated by commas."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = (math.nan,)
        if not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r}: give numbers separated by commas, such as 4,5.5,7", param, ctx)
        return numbers


class Day(click.ParamType):  # type: ignore[type-arg]
    """A day, as in 2026-11-30, and as that text."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            self.fail(f"{value!r}: give a day such as 2026-11-30", param, ctx)
