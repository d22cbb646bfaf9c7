"""Looking for the worst (or best) allocation under an exact budget."""

from bitcliff.audit.search.evolution import evolve
from bitcliff.audit.search.gradient import (
    ROUND_COST,
    exchange,
    gradient_search,
    relinearise,
)
from bitcliff.audit.search.problem import Best, Problem, even_allocation, generator

__all__ = [
    "ROUND_COST",
    "Best",
    "Problem",
    "even_allocation",
    "evolve",
    "exchange",
    "generator",
    "gradient_search",
    "relinearise",
]
