"""A rate as every part of Bitcliff states it: never a bare percentage."""

from typing import Annotated

from pydantic import Field

from bitcliff.types.value import Value

Count = Annotated[int, Field(ge=0, le=10**24)]
"""The upper end is beyond every run, and still a number to reckon with."""


class Rate(Value):
    """k of n, with its exact 95 % interval.

    Attributes:
        k: how many.
        n: out of how many.
        value: k / n as a share in [0, 1]; None when n is 0.
        low, high: Clopper-Pearson limits of that share; None when n is 0.

    Build one with `bitcliff.stats.rate`, which works the interval out.
    """

    k: Count
    n: Count
    value: float | None
    low: float | None
    high: float | None


class Mean(Value):
    """The mean of n scores in [0, 1], with a 95 % interval that holds at every n.

    Attributes:
        n: how many. value: their mean; None when n is 0. low, high: its limits; None when n is 0.

    Build one with `bitcliff.stats.bounded_mean`, which works the interval out.
    """

    n: Count
    value: float | None
    low: float | None
    high: float | None


class PerToken(Value):
    """A mean over the tokens of n texts, with a 95 % interval that allows for the texts.

    Attributes:
        n: texts. tokens: of all of them. value: None without texts. low, high: None of few texts.

    Build one with `bitcliff.stats.per_token`, which works the interval out.
    """

    n: Count
    tokens: Count
    value: float | None
    low: float | None
    high: float | None


class ErrorRates(Value):
    """Of texts together: insertions, deletions and substitutions against what is wanted.

    Attributes:
        words, characters: shares of those that are wanted; insertions can bring them above 1.
        n: words that are wanted.

    Build them with `bitcliff.stats.error_rates`.
    """

    words: float
    characters: float
    n: Count


class ClusteredRate(Value):
    """k of n predictions that come in clusters, several of each example, which are not independent.

    Attributes:
        k, n: predictions that count, and all of them. clusters: examples that they come from.
        value: k / n as a share in [0, 1]; None when n is 0.
        low, high: 95 % limits of that share that allow for the clusters; None when n is 0.

    Build one with `bitcliff.stats.clustered_rate`, which works the interval out.
    """

    k: Count
    n: Count
    clusters: Count
    value: float | None
    low: float | None
    high: float | None
