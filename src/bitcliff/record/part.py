"""What every part of a record has in common."""

from typing import Annotated

from pydantic import Field

from bitcliff.types.value import Value

# Shares are worked out, and may miss their end by a rounding.
_ROUNDING = 1e-9

Share = Annotated[float, Field(ge=-_ROUNDING, le=1 + _ROUNDING)]
"""Of a whole; also a chance, and so a p-value."""


class Part(Value):
    """A part of a record; what could not be measured is None."""

    def __eq__(self, other: object) -> bool:
        """Written alike: arrays, which some parts hold, have no plain equality."""
        return isinstance(other, type(self)) and self.model_dump() == other.model_dump()
