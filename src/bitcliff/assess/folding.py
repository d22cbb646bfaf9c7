"""What folding BatchNorm changed in float: the same arithmetic in another order."""

from collections.abc import Sequence

import torch
from torch import nn

from bitcliff.points import logits_of, take
from bitcliff.points.forward import batch_size
from bitcliff.records import Folding
from bitcliff.types.subject import Inputs


def measure_folding(
    before: nn.Module, after: nn.Module, names: Sequence[str], inputs: Inputs, batch: int
) -> Folding:
    """Compares the float answers of the network as it came with those once folded.

    Args:
        names: the BatchNorms that are gone. inputs: all examples. batch: how many at once.
    """
    changed, largest = list[int](), 0.0
    for index in torch.arange(batch_size(inputs)).split(batch):
        with torch.no_grad():
            own, folded = (logits_of(model, take(inputs, index)) for model in (before, after))
        changed += index[own.argmax(1) != folded.argmax(1)].tolist()
        finite = torch.isfinite(own) & torch.isfinite(folded)
        gaps = (own - folded)[finite].abs()
        largest = max(largest, float(gaps.max()) if gaps.numel() else 0.0)
    return Folding(names=list(names), largest_difference=largest, changed=changed)
