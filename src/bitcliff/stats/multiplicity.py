"""Correction of p-values for how many tests a run makes."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel

from bitcliff.errors import InputError

Tested = TypeVar("Tested", bound=BaseModel)
"""Something with a `p_value` and a `p_holm`, either of which may be None."""


def with_holm(family: Sequence[Tested | None]) -> list[Tested | None]:
    """The same tests in the same order, each with its `p_holm` over all of them.

    None, and a test without p-value, stays as it is and does not count.
    """
    tested = [
        place for place, one in enumerate(family) if getattr(one, "p_value", None) is not None
    ]
    adjusted = holm([getattr(family[place], "p_value") for place in tested])  # noqa: B009
    found = list(family)
    for place, p in zip(tested, adjusted, strict=True):
        one = family[place]
        found[place] = None if one is None else one.model_copy(update={"p_holm": p})
    return found


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
