"""A paired change as every part of Bitcliff states it: float against quantized, or before and
after."""

from bitcliff.types.rate import Count, Rate
from bitcliff.types.value import Value


class PairedChange(Value):
    """A share of correct predictions, measured twice on the same n examples.

    Attributes:
        n: examples. lost: right the first time and wrong the second. gained: the other way round.
        difference_pp: second minus first share, percentage points; None when n is 0.
        low_pp, high_pp: its paired 95 % interval (where one is stated for several comparisons
            together, at their joint level).
        p_value: exact McNemar. p_holm: the same, adjusted over all tests of its family; None where
            there is no family.

    Build one with `bitcliff.stats.paired_change`, which works it out.
    """

    n: Count
    lost: Count
    gained: Count
    difference_pp: float | None
    low_pp: float | None
    high_pp: float | None
    p_value: float
    p_holm: float | None = None


class ChangeDifference(Value):
    """How much more is lost in a second set of examples than in a first, independent one.

    Attributes:
        difference_pp: percentage points, positive where the second loses more. low_pp, high_pp: its
            95 % interval. p_value: by itself. p_holm: among all of its family.

    Build one with `bitcliff.stats.difference_of_changes`.
    """

    difference_pp: float
    low_pp: float
    high_pp: float
    p_value: float
    p_holm: float | None = None


class ScoreChange(Value):
    """A mean score in [0, 1], measured twice on the same n examples.

    Attributes:
        n: examples. difference: second minus first mean; None when n is 0. low, high: its 95 %
            interval, which holds at every n.
        p_value: of a paired permutation test, by itself.
        losing, losers: of the examples, those whose score falls by more than `losing`.

    Build one with `bitcliff.stats.score_change`, which works it out.
    """

    n: Count
    difference: float | None
    low: float | None
    high: float | None
    p_value: float
    losing: float
    losers: Rate
