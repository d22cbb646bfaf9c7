"""Hinges on the quantized student's softmax p (paper section 3.2, eq. 7 and 8).

With j1 and j2 the teacher's first and second class and delta the margin:

    robust   max(0, delta - p[j1] + p[j2])
    brittle  max(0, delta - max over k != j1 of p[k] + p[j1])
"""

from jaxtyping import Float, Int
from torch import Tensor

from bitcliff.errors import InputError

MARGIN = 0.5


def robust_hinge(
    quantized: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    margin: float | int = MARGIN,
) -> Float[Tensor, " batch"]:
    """Zero once the quantized student prefers the teacher's first class to its second by `margin`.

    Args:
        quantized: the quantized student's logits. teacher: the teacher's; no gradient reaches them.
        margin: delta, a difference of probabilities.

    Returns:
        Each example's own, in units of probability.

    Raises:
        InputError: fewer than two classes.
    """
    first, second = _two_classes(teacher)
    p = quantized.softmax(1)
    gap = p.gather(1, first)[:, 0] - p.gather(1, second)[:, 0]
    return (margin - gap).clamp(min=0)


def brittle_hinge(
    quantized: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    margin: float | int = MARGIN,
) -> Float[Tensor, " batch"]:
    """Zero once the quantized student prefers any other class to the teacher's first by `margin`.

    Arguments, result and errors as in `robust_hinge`.
    """
    first, _ = _two_classes(teacher)
    p = quantized.softmax(1)
    other = p.scatter(1, first, -1.0).amax(1)
    return (margin - other + p.gather(1, first)[:, 0]).clamp(min=0)


def _two_classes(
    teacher: Float[Tensor, "batch classes"],
) -> tuple[Int[Tensor, "batch 1"], Int[Tensor, "batch 1"]]:
    if teacher.shape[1] < 2:
        raise InputError(f"a hinge needs two classes or more, not {teacher.shape[1]}")
    best = teacher.detach().topk(2, dim=1).indices
    return best[:, :1], best[:, 1:]
