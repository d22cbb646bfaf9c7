"""Mixup of images alone: in distillation the teacher sees the mixed image, so no labels."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError


def mixup(images: Float[Tensor, "batch *rest"], alpha: float) -> Float[Tensor, "batch *rest"]:
    """Each image mixed with the one before it in the batch: a * image + (1 - a) * other.

    One a for the whole batch, from Beta(alpha, alpha) and turned to at least 0.5, as in big_vision,
    the code of "patient and consistent" distillation (Beyer et al. 2022); that uses alpha = 1.
    Drawn from torch's global random state.

    Args:
        alpha: 0: no mixup.

    Raises:
        InputError: alpha is negative, infinite or not a number.
    """
    if not 0 <= alpha < math.inf:
        raise InputError(f"mixup {alpha}: must be 0 (off) or a positive number")
    if alpha == 0:
        return images
    drawn = torch.distributions.Beta(alpha, alpha).sample().item()
    return images.lerp(images.roll(1, dims=0), min(drawn, 1 - drawn))
