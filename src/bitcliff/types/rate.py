"""A rate as every part of Bitcliff states it: never a bare percentage."""

from pydantic import BaseModel, ConfigDict


class Rate(BaseModel):
    """k of n, with its exact 95 % interval.

    Attributes:
        k: how many.
        n: out of how many.
        value: k / n as a share in [0, 1]; None when n is 0.
        low, high: Clopper-Pearson limits of that share; None when n is 0.

    Build one with `bitcliff.stats.rate`, which works the interval out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    k: int
    n: int
    value: float | None
    low: float | None
    high: float | None
