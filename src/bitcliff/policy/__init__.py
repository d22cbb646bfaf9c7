"""Policies: inputs to bit-widths, always spending exactly their budget."""

from bitcliff.policy.base import Batch, Policy
from bitcliff.policy.fixed import PerExample, Static, Uniform
from bitcliff.policy.random import RandomPerExample, RandomStatic

__all__ = [
    "Batch",
    "PerExample",
    "Policy",
    "RandomPerExample",
    "RandomStatic",
    "Static",
    "Uniform",
]
