"""Times: observed, and nothing that can be worked out anew."""

from typing import Annotated

from pydantic import Field

Time = Annotated[float, Field(ge=0, le=1e9)]
"""Seconds, as observed on one machine."""

# Below it a clock has seen nothing.
_LEAST = 1e-12


def times_as_long(one: float, other: float) -> float | None:
    """How many times as long as the other the first takes; None where a clock saw nothing."""
    return one / other if min(one, other) > _LEAST else None
