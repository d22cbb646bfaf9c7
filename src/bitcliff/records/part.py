"""What every part of a record has in common."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Frozen, no field unknown; NaN and infinity have no place in JSON, so what could not be
    measured is None."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
