"""Quantization points: discovered, named, costed and attached to a model that is left as it was."""

from bitcliff.points.attach import Attachment
from bitcliff.points.discover import check_names, discover
from bitcliff.points.forward import logits_of, take
from bitcliff.points.plan import Plan, Point, Selection

__all__ = [
    "Attachment",
    "Plan",
    "Point",
    "Selection",
    "check_names",
    "discover",
    "logits_of",
    "take",
]
