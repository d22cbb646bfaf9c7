"""Training losses: pure functions of logits."""

from bitcliff.losses.distillation import distillation_loss
from bitcliff.losses.hinge import brittle_hinge, robust_hinge

__all__ = ["brittle_hinge", "distillation_loss", "robust_hinge"]
