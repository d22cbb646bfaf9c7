"""Values to choices under an exact budget of bits: solving, counting, sampling, marginals."""

from bitcliff.budget.counting import count_allocations, freedom_log2, sample_allocations
from bitcliff.budget.gibbs import gibbs_samples, marginals
from bitcliff.budget.solver import forbid_below, solve
from bitcliff.budget.totals import feasible_totals, total_from_mean

__all__ = [
    "count_allocations",
    "feasible_totals",
    "forbid_below",
    "freedom_log2",
    "gibbs_samples",
    "marginals",
    "sample_allocations",
    "solve",
    "total_from_mean",
]
