"""What folding BatchNorm changed in float: the same arithmetic in another order."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bitcliff.points import batches, logits_of, take
from bitcliff.record import Folding
from bitcliff.types.subject import AllInputs


def measure_folding(
    before: nn.Module,
    names: Sequence[str],
    folded: Float[Tensor, "n classes"],
    inputs: AllInputs,
    size: int,
) -> Folding:
    """Compares the float scores of the network as it came with those once folded.

    Args:
        names: the BatchNorms that are gone. folded: the scores without them. inputs: all examples.
        size: how many are run at once.
    """
    with torch.no_grad():
        parts = [
            logits_of(before, take(inputs, padded))[: len(rows)]
            for rows, padded in batches(torch.arange(len(folded)), size)
        ]
    own = torch.cat(parts).cpu()
    finite = torch.isfinite(own) & torch.isfinite(folded)
    gaps = (own - folded)[finite].abs()
    norms = sum(isinstance(module, _BatchNorm) for module in before.modules())
    return Folding(
        names=list(names),
        left=norms - len(names),
        largest_difference=float(gaps.max()) if gaps.numel() else 0.0,
        changed=(own.argmax(1) != folded.argmax(1)).nonzero().flatten().tolist(),
    )
