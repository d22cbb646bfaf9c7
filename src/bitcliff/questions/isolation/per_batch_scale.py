"""The network with one scale for several examples, simulated, so that gradients can be had."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bitcliff.points import Attachment, Plan
from bitcliff.points.attach import Rounding, rounding_to
from bitcliff.points.forward import batch_size
from bitcliff.quant import fake_quantize
from bitcliff.types.subject import Inputs

BITS, SCHEME = 8, "onnx"


def eight_bits(plan: Plan, batch: int) -> Rounding:
    """All points and weights at 8 bits, as runtimes do."""
    return rounding_to(torch.full((batch, len(plan)), BITS))


class SharedScale(Attachment):
    """An attachment in which every `mates` examples in a row share one scale at each point.

    Unlike elsewhere the gradient reaches the scale: an example's rounding error is taken to grow
    with the step, as in learned step sizes (Esser et al. 2020, section 2.1), and the step follows
    the least and the greatest value of all mates. So a companion's input has a gradient in the
    victim's scores.

    Attributes:
        ranges: of the last pass, for each point reached, least and greatest value (zero included)
            of each group of mates.
    """

    def __init__(self, model: nn.Module, plan: Plan, mates: int) -> None:
        super().__init__(model, plan, SCHEME, weight_bits=BITS)
        self.mates = mates
        self.ranges: list[Float[Tensor, "groups 2"]] = []

    def shared_scores(self, inputs: Inputs) -> Float[Tensor, "batch classes"]:
        """One pass; the batch must be a multiple of `mates`."""
        self.ranges = []
        return self.run(inputs, eight_bits(self.plan, batch_size(inputs)))

    def _round(self, rows: Tensor, index: int) -> Tensor:
        groups = rows.reshape(len(rows) // self.mates, -1)
        low, high = groups.amin(1).clamp(max=0), groups.amax(1).clamp(min=0)
        self.ranges.append(torch.stack([low, high], 1))
        width = high - low
        fixed = groups.detach()
        rounded = fake_quantize(fixed, BITS, self.scheme)
        growth = width / width.detach().clamp(min=torch.finfo(width.dtype).tiny)
        # Exact forward: what is added to the rounded values is zero, but has a gradient.
        through = groups - fixed + (rounded - fixed) * (growth - growth.detach())[:, None]
        return (rounded + through).reshape(rows.shape)
