"""Examples in memory, and their parts."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.train.order import seed_of


@dataclass(frozen=True)
class Split:
    """Part of a data set: inputs (n, *rest), labels (n,), ids."""

    inputs: Tensor
    labels: Int[Tensor, " n"]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Int[Tensor, " m"]) -> "Split":
        """Some of them, in that order."""
        ids = tuple(self.ids[place] for place in index.tolist())
        return Split(self.inputs[index], self.labels[index], ids)


def hold_out(data: Split, share: float, seed: int) -> tuple[Split, Split]:
    """The rest and a part held out, drawn by seed, alike in each class."""
    rng = np.random.default_rng(seed_of(seed, "hold out"))
    held = []
    for label in data.labels.unique().tolist():
        places = (data.labels == label).nonzero().flatten()
        count = round(share * len(places))
        held.append(places[torch.from_numpy(rng.permutation(len(places))[:count])])
    chosen = torch.cat(held).sort().values
    rest = torch.ones(len(data), dtype=torch.bool)
    rest[chosen] = False
    return data.take(rest.nonzero().flatten()), data.take(chosen)
