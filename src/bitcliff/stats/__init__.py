"""Intervals, paired tests, multiplicity."""

from bitcliff.stats.draws import median_index
from bitcliff.stats.intervals import rate, upper_bound
from bitcliff.stats.multiplicity import holm
from bitcliff.stats.paired import mcnemar, paired_difference

__all__ = ["holm", "mcnemar", "median_index", "paired_difference", "rate", "upper_bound"]
