"""One class of several, which counts as right among the best few."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.tasks.classification import Classification
from bitcliff.tasks.positions import just_below
from bitcliff.types.subject import Inputs


@dataclass(frozen=True)
class TopK:
    """The network gives a score for each class, and the wanted one is to be among the best.

    Attributes:
        best: how many.
    """

    best: int

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return f"classification:top{self.best}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return f"whether {{own}} is among the {self.best} classes with the largest scores"

    def decided(self, output: Tensor, inputs: Inputs) -> Int[Tensor, "batch 1"]:
        """The class of the largest score."""
        return self._scores(output, inputs).argmax(1, keepdim=True)

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """Of the wanted class over the best that would not be there with it; of equal scores the
        first classes come first."""
        scores = self._scores(output, inputs)
        own = scores.gather(1, decided)
        others = scores.scatter(1, decided, -torch.inf)
        rival, place = others.sort(dim=1, descending=True, stable=True)
        lead = own[:, 0] - rival[:, self.best - 1]
        lost = (lead < 0) | ((lead == 0) & (place[:, self.best - 1] < decided[:, 0]))
        return just_below(lead, lost)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """One where it is among them, else zero."""
        return (self.lead(output, inputs, decided) >= 0).float()

    def told(self, output: Tensor, target: Tensor) -> Int[Tensor, "1 1"]:
        """The class.

        Raises:
            InputError: it is no class of the network's.
        """
        classes, wanted = output.flatten(1).shape[1], target.flatten()
        if len(wanted) != 1 or not 0 <= float(wanted[0]) < classes or wanted[0] != int(wanted[0]):
            raise InputError(f"a label must be one class from 0 to {classes - 1}")
        return wanted.long()[None]

    def _scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch classes"]:
        scores = Classification().scores(output, inputs)
        if scores.shape[1] <= self.best:
            raise InputError(
                f"--task {self.name}: the model has {scores.shape[1]} classes, which must be more"
            )
        return scores
