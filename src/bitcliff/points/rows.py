"""Along which axis a product sums: there lie what its scales by token and block are of."""

from torch import Tensor


def summed_axis(role: str, dimensions: int) -> int:
    """A product sums over the last axis but one on its right-hand side, the last elsewhere."""
    return -2 if role in ("rhs", "value") and dimensions > 1 else -1


def summed_last(x: Tensor, role: str) -> Tensor:
    """With the axis that the product sums over last; done twice, `x` again."""
    return x if summed_axis(role, x.ndim) == -1 else x.transpose(-1, -2)
