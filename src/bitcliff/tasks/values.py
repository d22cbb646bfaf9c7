"""Numbers: predicted values, or a vector that stands for the example."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from bitcliff.errors import InputError
from bitcliff.tasks.positions import just_below
from bitcliff.types.subject import Inputs


@dataclass(frozen=True)
class Values:
    """The network predicts one number or several.

    Attributes:
        tolerance: by which each may be off the wanted one, in its unit; relative: as a share of it.
    """

    tolerance: float
    relative: bool = False

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return f"values:{self._told}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return f"whether every number is within {self._told} of {{own}}"

    def decided(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch values"]:
        """The numbers."""
        return numbers_of(output)

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """What of the tolerance is left."""
        room = self._allowed(decided) - (self.decided(output, inputs) - decided).abs()
        return room.amin(1)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """Of the numbers, those within the tolerance."""
        near = (self.decided(output, inputs) - decided).abs() <= self._allowed(decided)
        return near.float().mean(1)

    def told(self, output: Tensor, target: Tensor) -> Float[Tensor, "1 values"]:
        """The numbers; see `_like`."""
        return _like(output, target)

    @property
    def _told(self) -> str:
        return f"{100 * self.tolerance:g}%" if self.relative else f"{self.tolerance:g}"

    def _allowed(self, decided: Tensor) -> Tensor:
        return self.tolerance * (decided.abs() if self.relative else torch.ones_like(decided))


@dataclass(frozen=True)
class Embedding:
    """The network gives a vector.

    Attributes:
        least: cosine of the angle to float's own vector down to which it counts as the same.
    """

    least: float

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return f"embedding:{self.least:g}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return f"whether the vector's cosine with {{own}} is {self.least:g} or more"

    def decided(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch values"]:
        """The vector."""
        return numbers_of(output)

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """By how much the cosine is above the least."""
        return cosine_with(output, decided) - self.least

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """The cosine, none below 0."""
        return cosine_with(output, decided).clamp(0, 1)

    def told(self, output: Tensor, target: Tensor) -> Float[Tensor, "1 values"]:
        """The vector; see `_like`."""
        return _like(output, target)


@dataclass(frozen=True)
class Labels:
    """The network gives a score for each of several labels, any of which may hold.

    Attributes:
        at: above it a label holds.
    """

    at: float = 0.5

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return f"labels:{self.at:g}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return f"whether the set of labels whose scores lie above {self.at:g} is {{own}}"

    def decided(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch labels"]:
        """Plus one where a label holds, else minus one."""
        return torch.where(numbers_of(output) > self.at, 1.0, -1.0)

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """That of the label nearest to its threshold."""
        above = numbers_of(output) - self.at
        return just_below(above * decided, (above <= 0) & (decided > 0)).amin(1)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """Of the labels, those on float's side."""
        return (self.decided(output, inputs) == decided).float().mean(1)

    def told(self, output: Tensor, target: Tensor) -> Float[Tensor, "1 labels"]:
        """As `decided`, of ones and zeros.

        Raises:
            InputError: other numbers; see `_like`.
        """
        wanted = _like(output, target)
        if not bool(((wanted == 0) | (wanted == 1)).all()):
            raise InputError("labels that may each hold must be ones and zeros")
        return 2 * wanted - 1


def cosine_with(output: Tensor, others: Tensor) -> Float[Tensor, " batch"]:
    """Of the network's vectors, each with the one in its place, (batch, values), in float64."""
    own = numbers_of(output).double()
    return F.cosine_similarity(own, others.to(own))


def numbers_of(output: Tensor) -> Float[Tensor, "batch values"]:
    return output.flatten(1) if output.ndim > 1 else output[:, None]


def _like(output: Tensor, target: Tensor) -> Float[Tensor, "1 values"]:
    """A label, as many numbers as the output of one example has.

    Raises:
        InputError: it has another number of them.
    """
    wanted, numbers = target.flatten().float()[None], numbers_of(output)
    if wanted.shape != numbers.shape:
        raise InputError(
            f"a label has {wanted.shape[1]} numbers, but the model gives {numbers.shape[1]}"
        )
    return wanted
