"""Looking for the worst (or best) allocation under an exact budget."""

from bitcliff.assess.search.evolution import evolve
from bitcliff.assess.search.gradient import exchange, relinearise
from bitcliff.assess.search.problem import Best, Problem, even_allocation, generator

__all__ = [
    "Best",
    "Problem",
    "even_allocation",
    "evolve",
    "exchange",
    "generator",
    "relinearise",
]
