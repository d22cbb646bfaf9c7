"""Intervals, paired tests, comparisons of groups, multiplicity."""

from bitcliff.stats.bounded_mean import bounded_mean
from bitcliff.stats.clusters import clustered_rate
from bitcliff.stats.draws import median_index
from bitcliff.stats.groups import class_test, cramers_v, rank_test, resamples
from bitcliff.stats.intervals import rate, upper_bound
from bitcliff.stats.multiplicity import holm, with_holm
from bitcliff.stats.paired import change_between, mcnemar, paired_change, paired_difference
from bitcliff.stats.per_token import per_token
from bitcliff.stats.ranking import Auroc, auroc
from bitcliff.stats.reweighting import reweighted
from bitcliff.stats.scores import score_change
from bitcliff.stats.transitory import transitory
from bitcliff.stats.two_sets import difference_of_changes, fisher_greater

__all__ = [
    "Auroc",
    "auroc",
    "bounded_mean",
    "change_between",
    "class_test",
    "clustered_rate",
    "cramers_v",
    "difference_of_changes",
    "fisher_greater",
    "holm",
    "mcnemar",
    "median_index",
    "paired_change",
    "paired_difference",
    "per_token",
    "rank_test",
    "rate",
    "resamples",
    "reweighted",
    "score_change",
    "transitory",
    "upper_bound",
    "with_holm",
]
