"""What settings of training have in common: checked, unchangeable, and no key unheard of."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A part of a run's YAML file; it lives beside what it configures."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
