"""The reference of this room: the formula as it stands, in numpy, one row at a time."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def range_of(row: Array, scheme: str) -> tuple[Any, Any]:
    """lo and hi in the row's own type."""
    lo, hi = row.min(), row.max()
    if scheme == "onnx":
        zero = row.dtype.type(0)
        return min(lo, zero), max(hi, zero)
    if scheme.startswith("percentile"):
        tail = (1 - float(scheme[len("percentile(") : -1]) / 100) / 2
        return np.quantile(row, tail), np.quantile(row, 1 - tail)
    return lo, hi


def literal_row(row: Array, bits: int, scheme: str, ends: tuple[Any, Any] | None = None) -> Array:
    """s, z, q and x_hat as the design writes them, every operation in the row's own type."""
    number = row.dtype.type
    lo, hi = (number(end) for end in (ends or range_of(row, scheme)))
    top = number(2**bits - 1)
    if not np.isfinite(row).all() or lo == hi:
        return row
    s = (hi - lo) / top
    z = np.round(-lo / s)
    if scheme == "onnx":
        z = np.clip(z, number(0), top)
    q = np.clip(np.round(row / s) + z, number(0), top)
    return np.asarray((q - z) * s)


def literal(x: Array, bits: list[int], scheme: str) -> Array:
    """`literal_row` for every row of (batch, k)."""
    return np.stack([literal_row(row, b, scheme) for row, b in zip(x, bits, strict=True)])
