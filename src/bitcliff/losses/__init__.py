"""Training losses: pure functions of logits, each a mean over a batch."""

from bitcliff.losses.distillation import distillation_loss
from bitcliff.losses.hinge import brittle_hinge, robust_hinge

__all__ = ["brittle_hinge", "distillation_loss", "robust_hinge"]
