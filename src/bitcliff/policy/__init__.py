"""Policies: inputs to bit-widths, always allocating exactly their budget."""

from bitcliff.policy.base import Batch, Policy
from bitcliff.policy.estimators import Choice, Estimator, choose
from bitcliff.policy.fixed import PerExample, Static, Uniform
from bitcliff.policy.learned import LearnedPolicy
from bitcliff.policy.network import PolicyNetwork, PolicyNetworkConfig
from bitcliff.policy.random import RandomPerExample, RandomStatic

__all__ = [
    "Batch",
    "Choice",
    "Estimator",
    "LearnedPolicy",
    "PerExample",
    "Policy",
    "PolicyNetwork",
    "PolicyNetworkConfig",
    "RandomPerExample",
    "RandomStatic",
    "Static",
    "Uniform",
    "choose",
]
