"""A rate as every part of Bitcliff states it: never a bare percentage."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=0, le=10**24)]
"""The upper end is beyond every run, and still a number to reckon with."""


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

    k: Count
    n: Count
    value: float | None
    low: float | None
    high: float | None

    @model_validator(mode="after")
    def _is_a_share(self) -> "Rate":
        """So that a rate changed by hand is refused where it is read."""
        _check_share(self)
        return self


class ClusteredRate(BaseModel):
    """k of n answers that come in clusters, several of each example, which are not independent.

    Attributes:
        k, n: answers that count, and all of them. clusters: examples that they come from.
        value: k / n as a share in [0, 1]; None when n is 0.
        low, high: 95 % limits of that share that allow for the clusters; None when n is 0.

    Build one with `bitcliff.stats.clustered_rate`, which works the interval out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    k: Count
    n: Count
    clusters: Count
    value: float | None
    low: float | None
    high: float | None

    @model_validator(mode="after")
    def _is_a_share(self) -> "ClusteredRate":
        """So that a rate changed by hand is refused where it is read."""
        _check_share(self)
        if not (self.n > 0) <= self.clusters <= self.n:
            raise ValueError(f"clusters is {self.clusters}, of {self.n} answers")
        return self


def _check_share(rate: Rate | ClusteredRate) -> None:
    if rate.k > rate.n:
        raise ValueError(f"k is {rate.k}, should lie in 0 to n, which is {rate.n}")
    measured = [part for part in (rate.low, rate.value, rate.high) if part is not None]
    if len(measured) != (3 if rate.n else 0):
        raise ValueError("value, low and high go with n above 0, and are null with n = 0")
    if rate.value is not None and abs(rate.value * rate.n - rate.k) > 1e-9 * rate.n:
        raise ValueError(f"value is {rate.value}, should be k / n = {rate.k} / {rate.n}")
    if [0.0, *measured, 1.0] != sorted([0.0, *measured, 1.0]):
        raise ValueError("low, value and high should be in that order, from 0 to 1")
