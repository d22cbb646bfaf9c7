"""Knowledge distillation: the student is to predict as the teacher (paper section 3.1, eq. 3)."""

import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError


def distillation_loss(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    temperature: float | int = 1.0,
) -> Float[Tensor, ""]:
    """tau^2 * KL(teacher_tau || student_tau) in nats, mean over the batch; no ground truth.

    Both are softened by the temperature tau. The factor tau^2 is Hinton's (2015, section 2):
    gradients shrink as 1 / tau^2, and without it a hinge of equal weight overruns them (LOG.md).

    Args:
        student, teacher: logits (batch, classes); log-probabilities serve too at tau = 1, and for
            every tau up to a constant that the softmax takes away. No gradient reaches the teacher.
        temperature: tau > 0.

    Raises:
        InputError: the temperature is not positive.
    """
    if not temperature > 0:
        raise InputError(f"temperature must be positive, not {temperature}")
    target = F.log_softmax(teacher.detach() / temperature, dim=1)
    given = F.log_softmax(student / temperature, dim=1)
    return temperature**2 * F.kl_div(given, target, reduction="batchmean", log_target=True)
