"""Examples in memory, and their parts."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.train.order import seed_of

View = Callable[[Tensor], Tensor]
"""A batch of images to one of the same shape, drawn anew from torch's generator each time."""


@dataclass(frozen=True)
class Split:
    """Part of a data set: inputs (n, *rest), labels (n,), ids.

    `view` is what training sees of the inputs: augmentation, if any.
    """

    inputs: Tensor
    labels: Int[Tensor, " n"]
    ids: tuple[str, ...]
    view: View = lambda inputs: inputs

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Int[Tensor, " m"]) -> "Split":
        """Some of them, in that order."""
        ids = tuple(self.ids[example] for example in index.tolist())
        return replace(self, inputs=self.inputs[index], labels=self.labels[index], ids=ids)

    def seen_as(self, view: View) -> "Split":
        """The same, seen through a view."""
        return replace(self, view=view)

    def seen(self, index: Int[Tensor, " m"]) -> Tensor:
        """What training sees of them, this time."""
        return self.view(self.inputs[index])


def hold_out(data: Split, share: float, seed: int) -> tuple[Split, Split]:
    """The rest and a part held out, drawn by seed, alike in each class."""
    rng = np.random.default_rng(seed_of(seed, "hold out"))
    held = []
    for label in data.labels.unique().tolist():
        members = (data.labels == label).nonzero().flatten()
        count = round(share * len(members))
        held.append(members[torch.from_numpy(rng.permutation(len(members))[:count])])
    chosen = torch.cat(held).sort().values
    rest = torch.ones(len(data), dtype=torch.bool)
    rest[chosen] = False
    return data.take(rest.nonzero().flatten()), data.take(chosen)
