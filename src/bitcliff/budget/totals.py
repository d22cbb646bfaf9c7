"""Which totals of bits an allocation can meet, and the check of every argument of this room."""

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence
from numbers import Integral

from bitcliff.errors import InfeasibleBudget, InputError


def feasible_totals(L: int, bits: Sequence[int]) -> list[int]:
    """All totals, in bits and ascending, that `L` points with options `bits` can add up to.

    Args:
        L: number of quantization points, at least 1.
        bits: option costs in bits, ascending; they need not be consecutive.

    Raises:
        InputError: `L` or `bits` is not as above.
    """
    widths = check_bits(bits)
    length = check_whole("L", L, least=1)
    return _reachable([widths] * length)


def total_from_mean(
    mean: float | int, L: int, bits: Sequence[int], floors: Sequence[int] | None = None
) -> int:
    """The total C = round(mean * L) in bits, rounding half to even, as Python does.

    Args:
        mean: mean bits per point.
        L: number of quantization points, at least 1.
        bits: option costs in bits, ascending.
        floors: the least width at each point; None: every option everywhere.

    Raises:
        InputError: an argument is malformed.
        InfeasibleBudget: no allocation adds up to C; the text says which means are feasible.
    """
    widths = check_bits(bits)
    length = check_whole("L", L, least=1)
    if not math.isfinite(mean):
        raise InputError(f"mean: must be a finite number of bits per point, got {mean}")
    total = round(mean * length)
    _refuse_unreachable(
        f"mean {mean:g} bits per point (total {total})", length, widths, total, floors
    )
    return total


def check_feasible(
    length: int, widths: tuple[int, ...], total: object, floors: Sequence[int] | None = None
) -> int:
    """`total` as an int if `length` points can add up to it, else an error that says why not."""
    value = check_whole("total", total)
    _refuse_unreachable(f"total {value}", length, widths, value, floors)
    return value


def first_options(
    length: int, widths: tuple[int, ...], floors: Sequence[int] | None
) -> tuple[int, ...]:
    """For each point the first option that its floor allows.

    Raises:
        InputError: not one floor for each point. InfeasibleBudget: one above the largest width.
    """
    if floors is None:
        return (0,) * length
    if len(floors) != length:
        raise InputError(f"floors: must be one for each of {length} points, got {len(floors)}")
    for point, floor in enumerate(floors):
        if check_whole("floors: each", floor) > widths[-1]:
            raise InfeasibleBudget(
                f"floors: point {point} must get {floor} bits or more, but the widths end at "
                f"{widths[-1]}"
            )
    return tuple(bisect.bisect_left(widths, floor) for floor in floors)


def _refuse_unreachable(
    asked: str, length: int, widths: tuple[int, ...], total: int, floors: Sequence[int] | None
) -> None:
    firsts = first_options(length, widths, floors)
    totals = _reachable([widths[first:] for first in firsts])
    if total not in totals:
        floored = " with their floors" if any(firsts) else ""
        raise InfeasibleBudget(
            f"{asked} cannot be met by {length} points of {name_bits(widths)} bits{floored}: "
            f"{describe_totals(totals, length)}"
        )


def infeasible_example(
    example: int, allowed: list[tuple[int, ...]], total: int
) -> InfeasibleBudget:
    """The error for an example whose forbidden options leave no allocation at `total`.

    Args:
        example: its index in the batch.
        allowed: for every point, the widths in bits that are not forbidden.
        total: the total asked for, in bits.
    """
    start = f"total {total} cannot be met in example {example}"
    if not all(allowed):
        empty = allowed.index(())
        return InfeasibleBudget(f"{start}: every option of point {empty} is forbidden (-inf)")
    return InfeasibleBudget(
        f"{start} with its forbidden options: {describe_totals(_reachable(allowed), len(allowed))}"
    )


def describe_totals(totals: list[int], length: int) -> str:
    """Ascending totals in words, with the range of mean bits: for the end of an error's line."""
    runs: list[list[int]] = []
    for total in totals:
        if runs and total == runs[-1][-1] + 1:
            runs[-1][1:] = [total]
        else:
            runs.append([total])
    if len(runs) > 12:
        runs = [*runs[:6], *runs[-6:]]
        words = [_name_run(run) for run in runs]
        words.insert(6, "...")
    else:
        words = [_name_run(run) for run in runs]
    low, high = totals[0] / length, totals[-1] / length
    means = (
        f"mean {low:.4g} bits" if low == high else f"means between {low:.4g} and {high:.4g} bits"
    )
    return f"feasible totals are {', '.join(words)} ({means})"


def check_bits(bits: object) -> tuple[int, ...]:
    """The option costs as a tuple of ints; InputError unless whole, positive and ascending.

    Equal costs may follow one another: two formats can take as many bits.
    """
    if isinstance(bits, str | bytes) or not isinstance(bits, Iterable):
        raise InputError(
            f"bits: must be a sequence of option widths such as range(3, 11), got {bits!r}"
        )
    widths = tuple(check_whole("bits: each option width", width, least=1) for width in bits)
    if not widths:
        raise InputError("bits: is empty; give at least one option width")
    if any(low > high for low, high in itertools.pairwise(widths)):
        raise InputError(f"bits: must be ascending, got {list(widths)}")
    return widths


def check_whole(name: str, value: object, least: int | None = None) -> int:
    """`value` as an int if it is whole (a bool is not) and at least `least`, else InputError."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} must be a whole number, got {value!r}")
    if least is not None and value < least:
        raise InputError(f"{name} must be at least {least}, got {value}")
    return int(value)


def name_bits(widths: tuple[int, ...]) -> str:
    """Option widths in words: "3..10" if consecutive, else "3, 5, 8"."""
    if len(widths) > 2 and widths[-1] - widths[0] == len(widths) - 1:
        return f"{widths[0]}..{widths[-1]}"
    return ", ".join(map(str, widths))


def _name_run(run: list[int]) -> str:
    return str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}"


def _reachable(options: list[tuple[int, ...]]) -> list[int]:
    # Bit c of `reach` is set if the points so far can add up to c: one shift-and-or per option.
    reach = 1
    for widths in options:
        step = 0
        for width in widths:
            step |= reach << width
        reach = step
    return [c for c, digit in enumerate(reversed(bin(reach)[2:])) if digit == "1"]
