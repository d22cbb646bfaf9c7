"""Measuring: a subject under policies, into a record. One question a file."""

from bitcliff.audit.audit import Audit
from bitcliff.audit.quantized import quantized
from bitcliff.types.settings import AssessSettings

__all__ = ["AssessSettings", "Audit", "quantized"]
