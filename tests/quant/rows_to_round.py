"""Rows as networks make them, and rows that they make seldom."""

import numpy as np
import numpy.typing as npt


def ordinary_rows(seed: int, size: int = 700) -> dict[str, npt.NDArray[np.float32]]:
    """One row of each kind that layers give every day."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal(size)
    rows = {
        "signed": normal,
        "after a relu": np.maximum(normal, 0),
        "positive, away from zero": rng.uniform(0.5, 2.0, size),
        "negative": -rng.exponential(3.0, size),
        "offset": 40 + 7 * normal,
        "one outlier": np.append(normal[1:], 1000.0),
        "small": 1e-6 * normal,
        "large": 1e7 * normal,
        "few values": rng.integers(-3, 4, size).astype(float),
        "two values": rng.integers(0, 2, size) * 0.3 - 0.1,
    }
    return {name: row.astype(np.float32) for name, row in rows.items()}


def far_rows(seed: int, size: int = 300) -> dict[str, npt.NDArray[np.float32]]:
    """Rows on which the formula in float32 would lose its levels."""
    rng = np.random.default_rng(seed)
    unit = rng.uniform(0, 1, size)
    rows = {
        "narrow, far above zero": 1e4 + 1e-2 * unit,
        "narrow, far below zero": -3e5 - unit,
        "huge": 4.4e38 * (unit - 0.5),
        "wider than the largest number": np.where(unit > 0.5, 2e38, -2e38),
        "tiny": 1e-40 * (unit - 0.3),
        "one step wide": np.where(unit > 0.5, np.float32(1), np.nextafter(np.float32(1), 2)),
    }
    return {name: row.astype(np.float32) for name, row in rows.items()}
