"""Looking for the worst (or best) allocation under an exact budget."""

from bitcliff.audit.search.evolution import evolve
from bitcliff.audit.search.gradient import exchange, relinearise
from bitcliff.audit.search.problem import Best, Problem, even_allocation, generator

__all__ = [
    "Best",
    "Problem",
    "even_allocation",
    "evolve",
    "exchange",
    "generator",
    "relinearise",
]
