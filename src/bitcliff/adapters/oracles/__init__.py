"""Whether each shipped format rounds as the program that ships it: bit for bit, on any values."""

from bitcliff.adapters.oracles.conformance import Conformance, check
from bitcliff.adapters.oracles.values import VALUES, values_of

__all__ = ["VALUES", "Conformance", "check", "values_of"]
