"""Correction of p-values for how many tests a run makes."""

from collections.abc import Sequence

from bitcliff.errors import InputError


def holm(p_values: Sequence[float | int]) -> list[float]:
    """Holm's adjusted p-values, in the order given; they control the family-wise error rate.

    Raises:
        InputError: a p-value lies outside [0, 1] or is NaN.

    Source: S. Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    for place, p in enumerate(p_values):
        if not 0 <= p <= 1:
            raise InputError(f"p_values: number {place} must lie in [0, 1], got {p}")
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = running
    return adjusted
