"""Quantization points: discovered, named, costed and attached to a model that is left as it was."""

from bitcliff.points.attach import Attachment
from bitcliff.points.discover import check_names, discover, floors_at
from bitcliff.points.forward import batches, logits_of, take
from bitcliff.points.plan import Plan, Point
from bitcliff.types.settings import Selection

__all__ = [
    "Attachment",
    "Plan",
    "Point",
    "Selection",
    "batches",
    "check_names",
    "discover",
    "floors_at",
    "logits_of",
    "take",
]
