"""A network in float whose values at each point are seen, or replaced, on the way."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bitcliff.points import Attachment, Plan
from bitcliff.points.attach import Rounding
from bitcliff.points.final_activation import FinalActivation
from bitcliff.points.forward import batch_size
from bitcliff.types.subject import Inputs


class Watched(Attachment):
    """A network in float, of which `touch` sees the values at each point and may replace them.

    `touch` takes the values, examples along the first dimension, and the point's index in the plan;
    it gives values of the same shape. `final`: as in `Attachment`.
    """

    def __init__(
        self,
        module: nn.Module,
        plan: Plan,
        touch: Callable[[Tensor, int], Tensor],
        final: FinalActivation = "none",
    ) -> None:
        super().__init__(module, plan, weight_bits=None)
        self.touch, self.final = touch, final

    def __call__(self, inputs: Inputs) -> Float[Tensor, "batch classes"]:
        """Logits, before a last softmax or sigmoid."""
        bits = torch.zeros(batch_size(inputs), len(self.plan), dtype=torch.int64)
        with torch.no_grad():
            return self.followable(self.run(inputs, Rounding(bits=bits, weights=False)))

    def _round(self, rows: Tensor, index: int) -> Tensor:
        return self.touch(rows, index)
