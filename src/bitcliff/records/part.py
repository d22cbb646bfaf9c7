"""What every part of a record has in common."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Shares and points are worked out, and may miss their end by a rounding.
_ROUNDING = 1e-9

Share = Annotated[float, Field(ge=-_ROUNDING, le=1 + _ROUNDING)]
"""Of a whole; also a chance, and so a p-value."""
Points = Annotated[float, Field(ge=-100 - _ROUNDING, le=100 + _ROUNDING)]
"""Percentage points of a change."""


class Part(BaseModel):
    """Frozen, no field unknown; NaN and infinity have no place in JSON, so what could not be
    measured is None."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __eq__(self, other: object) -> bool:
        """Written alike: arrays, which some parts hold, have no plain equality."""
        return isinstance(other, type(self)) and self.model_dump() == other.model_dump()


def check_interval(low: float | None, value: float | None, high: float | None) -> None:
    """Refuse an interval that does not hold its value, or of which only a part is there.

    Raises:
        ValueError: it is so.
    """
    known = [end for end in (low, value, high) if end is not None]
    if len(known) not in (0, 3):
        raise ValueError("the value, low and high should all be there, or all be null")
    check_order(known)


def check_order(values: Sequence[float]) -> None:
    """Refuse numbers that do not increase, or stay as they are.

    Raises:
        ValueError: they do not.
    """
    if any(after < before - _ROUNDING for before, after in pairwise(values)):
        raise ValueError(f"{', '.join(f'{one:g}' for one in values)} should be in order")
