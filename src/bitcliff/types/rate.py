"""A rate as every part of Bitcliff states it: never a bare percentage."""

from pydantic import BaseModel, ConfigDict, model_validator


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

    @model_validator(mode="after")
    def _is_a_share(self) -> "Rate":
        """So that a rate changed by hand is refused where it is read."""
        if not 0 <= self.k <= self.n:
            raise ValueError(f"k is {self.k}, should lie in 0 to n, which is {self.n}")
        measured = [part for part in (self.low, self.value, self.high) if part is not None]
        if len(measured) != (3 if self.n else 0):
            raise ValueError("value, low and high go with n above 0, and are null with n = 0")
        if self.value is not None and abs(self.value * self.n - self.k) > 1e-9 * self.n:
            raise ValueError(f"value is {self.value}, should be k / n = {self.k} / {self.n}")
        if measured != sorted(measured):
            raise ValueError("low, value and high should be in that order")
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

    k: int
    n: int
    clusters: int
    value: float | None
    low: float | None
    high: float | None
