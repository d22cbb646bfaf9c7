"""The inner loops of rounding, in plain Python that `compiled.py` has compiled.

Each is the arithmetic of the tensor operations it stands in for, operation by operation, so that
results are equal to the last bit. Arrays are float32 and contiguous; `keys` are the same memory as
int32. Bounds go by comparisons that a NaN fails, which lets it pass. An operation on int32 gives
int64, of which half as many are worked on at once: so integers are cut back after each.
"""

from typing import Any

import numpy as np

_ZERO, _HALF = np.float32(0), np.float32(0.5)
_SIGN, _MAGNITUDE = np.uint32(0x80000000), np.int32(0x7FFFFFFF)
_NEGATIVE = np.int32(-0x80000000)
_INFINITY, _MINUS_INFINITY = np.int32(0x7F800000), np.uint32(0xFF800000)
_MANTISSA, _BIAS = np.int32(23), np.int32(127)
_LEAST_NORMAL, _INFINITE = np.float32(2.0**-126), np.float32(np.inf)

LARGEST_ZERO_POINT = 2.0**18
"""Up to here float32 gives x / s to a 64th of a level, and sums with z are exact integers."""
_LARGEST_ZERO_POINT = np.float32(LARGEST_ZERO_POINT)

LANES = 512
"""Sums in float32 that a piece's products are dealt out to, one after another."""
PIECE = 1 << 15
"""Elements of a row whose sums are added up, by halves, before they are counted in float64."""


def ends(keys: Any, low: Any, high: Any) -> None:
    """Least and greatest of each row, into int32 views of float32; both NaN where it has one.

    Floats of one sign are ordered as their bits are, so that integers decide, which are vectorised
    where floats are not, for fear of NaN.
    """
    for r in range(len(keys)):
        most, near, far = np.int32(-0x80000000), np.uint32(0xFFFFFFFF), np.uint32(0)
        for i in range(keys.shape[1]):
            key = keys[r, i]
            most = max(most, key)
            near = min(near, np.uint32(key))
            far = max(far, np.uint32(key))
        if most > _INFINITY or far > _MINUS_INFINITY:
            low[r] = high[r] = np.int32(0x7FC00000)
        else:
            low[r] = np.int32(near if far < _SIGN else far)
            high[r] = np.int32(near) if most < 0 else most


def largest(keys: Any, out: Any) -> None:
    """Largest magnitude of each row into an int32 view of float32; a NaN where a row has one."""
    for r in range(len(keys)):
        most = np.int32(0)
        for i in range(keys.shape[1]):
            most = max(most, np.int32(keys[r, i] & _MAGNITUDE))
        out[r] = most


def to_grid(x: Any, step: Any, least: Any, most: Any, out: Any) -> None:
    """A row onto its grid: `grid.round_to_grid`."""
    for i in range(len(x)):
        level = np.rint(x[i] / step)
        level = least if level < least else level
        level = most if level > most else level
        out[i] = level * step + _ZERO


def to_own_grid(x: Any, bits: Any, with_zero: bool, out: Any) -> int:
    """Each row onto the grid over its range, while it is in the cache: `grid.make_grid` too.

    Gives how many rows this does not serve, because they are not `plain`.
    """
    keys, low, high = x.view(np.int32), np.empty(1, np.float32), np.empty(1, np.float32)
    others = 0
    for r in range(len(x)):
        one = slice(r, r + 1)
        ends(keys[one], low.view(np.int32), high.view(np.int32))
        if with_zero:
            low[0] = _ZERO if low[0] > _ZERO else low[0]
            high[0] = _ZERO if high[0] < _ZERO else high[0]
        levels = np.float32((1 << bits[r]) - 1)
        scale = (high[0] - low[0]) / levels
        zero_point = np.rint(-low[0] / scale)
        if with_zero:
            zero_point = _ZERO if zero_point < _ZERO else zero_point
            zero_point = levels if zero_point > levels else zero_point
        if not (_LEAST_NORMAL <= scale < _INFINITE and abs(zero_point) <= _LARGEST_ZERO_POINT):
            others += 1
        else:
            to_grid(x[r], scale, _ZERO - zero_point, levels - zero_point, out[r])
    return others


def to_integers(
    x: Any,
    by: Any,
    multiply: bool,
    zero: Any,
    least: Any,
    most: Any,
    away: bool,
    scale: Any,
    out: Any,
) -> None:
    """Each row to integers and back: `shipped._integers` between the scales."""
    for r in range(len(x)):
        factor, offset, back = by[r], zero[r], scale[r]
        for i in range(x.shape[1]):
            value = x[r, i] * factor if multiply else x[r, i] / factor
            if away:
                whole = np.trunc(abs(value))
                up = abs(value) - whole >= _HALF
                level = np.copysign(whole + np.float32(up), value)
            else:
                level = np.rint(value)
            level += offset
            level = least if level < least else level
            level = most if level > most else level
            out[r, i] = (level - offset + _ZERO) * back


def to_float(given: Any, most: Any, least: Any, up: Any, back: Any) -> Any:
    """A value in steps to the next small float, and back.

    Its magnitude is rounded by adding a power of two so large that no digits are left to the sum
    but those that the small float has.
    """
    value = np.float32(given)
    key = value.view(np.int32)
    size = np.int32(key & _MAGNITUDE).view(np.float32)
    # Named anew: the compiler takes the bits of no name that has two meanings.
    clamped = np.float32(most if most < size else size)
    exponent = max(np.int32(clamped.view(np.int32) & _INFINITY), least)
    large = np.int32(exponent + up).view(np.float32)
    rounded = np.float32(np.float32(clamped + large) - large)
    return np.int32(rounded.view(np.int32) | np.int32(key & _NEGATIVE)).view(np.float32) * back


def to_floats(
    x: Any,
    by: Any,
    multiply: bool,
    most: Any,
    least_exponent: Any,
    mantissa: Any,
    scale: Any,
    out: Any,
) -> None:
    """Each row to small floats and back: `minifloat.round_to_float` between the scales."""
    least = np.int32((least_exponent + _BIAS) << _MANTISSA)
    up = np.int32((_MANTISSA - mantissa) << _MANTISSA)
    for r in range(len(x)):
        factor, back = by[r], scale[r]
        for i in range(x.shape[1]):
            exact = x[r, i] * factor if multiply else x[r, i] / factor
            out[r, i] = to_float(exact, most, least, up, back)


def projected_errors(x: Any, gradient: Any, scale: Any, bottom: Any, top: Any, errors: Any) -> None:
    """<g, level - x / s> of each row on each of its grids: `activation._projected_errors`."""
    count = scale.shape[1]
    sums = np.empty((count, LANES), np.float32)
    for r in range(len(x)):
        for start in range(0, x.shape[1], PIECE):
            end = min(start + PIECE, x.shape[1])
            sums[:] = _ZERO
            for first in range(start, end, LANES):
                # Sliced: an index that might count from the end is not vectorised.
                values = x[r, first : min(first + LANES, end)]
                slopes = gradient[r, first : min(first + LANES, end)]
                for o in range(count):
                    step, least, most, lane = scale[r, o], bottom[r, o], top[r, o], sums[o]
                    for i in range(len(values)):
                        exact = values[i] / step
                        level = np.rint(exact)
                        level = least if level < least else level
                        level = most if level > most else level
                        lane[i] += (level - exact) * slopes[i]
            half = LANES // 2
            while half:
                for o in range(count):
                    lane = sums[o]
                    for i in range(half):
                        lane[i] += lane[i + half]
                half //= 2
            for o in range(count):
                errors[r, o] += np.float64(sums[o, 0])
