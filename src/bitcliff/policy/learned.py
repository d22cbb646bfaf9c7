"""The learned policy: a network's values, and the best choice by them at the exact budget."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn

from bitcliff.budget import solve
from bitcliff.errors import InputError
from bitcliff.policy.base import Batch, Policy
from bitcliff.types.subject import in_parts


class LearnedPolicy(Policy):
    """What a trained policy network allocates: the best by its softmax at exactly `total` bits."""

    def __init__(self, network: nn.Module, points: int, options: Sequence[int], total: int) -> None:
        super().__init__(points, options, total)
        self.network = network

    def allocate(self, batch: Batch) -> Int[Tensor, "batch points"]:
        """The network runs in eval mode, without gradients; its mode is restored."""
        if isinstance(batch.inputs, Mapping):
            raise InputError("a learned policy looks at images: this model takes other inputs")
        training = self.network.training
        self.network.eval()
        try:
            with torch.no_grad():
                parts = [self.network(part).softmax(2) for part in in_parts(batch.inputs)]
        finally:
            self.network.train(training)
        # An input of NaN gives values of NaN; its batch-mates must get theirs all the same.
        chosen = solve(torch.cat(parts).cpu().nan_to_num(nan=0.0), self.options, self.total)
        return torch.tensor(self.options)[chosen]
