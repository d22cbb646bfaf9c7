"""Vectors that stand for examples: which other one is nearest, and whether two are the same."""

from pathlib import Path

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from bitcliff.errors import InputError
from bitcliff.tasks.values import cosine_with, numbers_of
from bitcliff.types.subject import Inputs

# Of a label, of a place in the gallery, and of what float has nearest: there is none.
_NONE = -1


class Nearest:
    """The network gives a vector, which is looked for in a gallery of others by the cosine.

    The gallery is that of a file, or what float gives for the other examples; an example is no
    neighbour of its own. Without labels the neighbour that float has must stay the nearest; with
    labels the nearest must be one of the same class.

    Args:
        file: of the gallery's vectors; None: the other examples.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self._vectors: Float[Tensor, "gallery values"] | None = None
        self._groups: Int[Tensor, " gallery"] | None = None
        self._classes = False

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return "embedding" if self.file is None else f"embedding:gallery={self.file}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        where = "the other examples" if self.file is None else str(self.file)
        which = "is of the labelled class" if self._classes else "is {own}"
        return (
            f"whether the nearest neighbour among {where}, by cosine, {which}; how much of each "
            "stays is the cosine with float's own vector"
        )

    @property
    def known(self) -> bool:
        """Whether there is a gallery yet."""
        return self._vectors is not None

    def fill(
        self, vectors: Shaped[Tensor, "gallery *values"], classes: Shaped[Tensor, " gallery"] | None
    ) -> None:
        """Let these be the gallery, of these classes if those are what matters.

        Raises:
            InputError: there is no choice among them.
        """
        others = len(vectors) - (self.file is None)
        if others < 2 or (classes is not None and len(classes.unique()) < 2):
            what = f"{max(others, 0)} other examples" if self.file is None else f"{others} vectors"
            what = what if others != 1 else what.replace("1", "one").removesuffix("s")
            what = what if others < 2 else f"{what}, all of one class,"
            raise InputError(
                f"--task {self.name}: a gallery of {what} leaves nothing to decide; give more"
            )
        self._vectors = _unit(vectors)
        self._classes = classes is not None
        self._groups = torch.arange(len(vectors)) if classes is None else classes.long()

    def decided(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch row"]:
        """The vector, the place in the gallery that is its own (here none), and the group that is
        wanted: that of the nearest."""
        vectors = numbers_of(output).double()
        if self._vectors is None:  # asked before all examples are known
            return F.pad(vectors, (0, 2), value=_NONE)
        return torch.stack([self._wanting(one, _NONE, _NONE) for one in vectors])

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """By how much the nearest of the wanted group is nearer than the nearest other one."""
        own = _unit(output)
        if self._vectors is None or self._groups is None:
            return torch.zeros_like(own[:, 0])
        self._check_width(own)
        found = []
        for one, (place, group) in zip(own, decided[:, -2:].long().tolist(), strict=True):
            near = self._cosines(one, place)
            wanted = self._groups == group
            best = [near.masked_fill(left, -torch.inf).amax() for left in (~wanted, wanted)]
            found.append(best[0] - best[1])
        return torch.stack(found)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """The cosine with float's own vector, none below 0."""
        return cosine_with(output, decided[:, :-2]).clamp(0, 1)

    def told(self, output: Tensor, target: Tensor) -> Float[Tensor, "1 row"]:
        """As `decided`.

        Args:
            target: (1,) a class; or (2,) with -1 for none, and the place that is the example's own.

        Raises:
            InputError: another shape; or no other one of the gallery has such a class.
        """
        told = target.flatten().long().tolist()
        if len(told) not in (1, 2):
            raise InputError(
                f"a label has {len(told)} numbers, but must be a class of which the nearest is"
            )
        label, place = (*told, _NONE)[:2]
        (vector,) = numbers_of(output).double()
        if self._vectors is None or self._groups is None:
            return F.pad(vector, (0, 2), value=_NONE)[None]
        others = self._groups == label
        if place != _NONE:
            others[place] = False
        if label != _NONE and not bool(others.any()):
            raise InputError(f"class {label} has no other example in the gallery; leave it out")
        return self._wanting(vector, place, label)[None]

    def _wanting(
        self, vector: Float[Tensor, " values"], place: int, group: int
    ) -> Float[Tensor, " row"]:
        if group == _NONE and self._groups is not None:
            unit = _unit(vector[None])
            self._check_width(unit)
            group = int(self._groups[self._cosines(unit[0], place).argmax()])
        return torch.cat([vector, vector.new_tensor([place, group])])

    def _cosines(self, unit: Float[Tensor, " values"], place: int) -> Float[Tensor, " gallery"]:
        """With each of the gallery but its own; one example at a time, alike in every batch."""
        assert self._vectors is not None  # noqa: S101  (whoever asks has looked)
        near = self._vectors.to(unit.device) @ unit
        if place == _NONE:
            return near
        return near.masked_fill(torch.arange(len(near), device=near.device) == place, -torch.inf)

    def _check_width(self, unit: Float[Tensor, "batch values"]) -> None:
        assert self._vectors is not None  # noqa: S101  (whoever asks has looked)
        if self._vectors.shape[1] != unit.shape[1]:
            raise InputError(
                f"--task {self.name}: the gallery's vectors have {self._vectors.shape[1]} numbers, "
                f"but the model gave shape {tuple(unit.shape)}"
            )


class Verification:
    """The network gives a vector; by its cosine with another they are the same, or are not.

    The other was enrolled in float: it is part of each example's label.

    Attributes:
        least: the cosine down to which two are the same.
    """

    def __init__(self, least: float) -> None:
        self.least = least

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return f"verification:{self.least:g}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return (
            f"whether a pair, by a cosine of {self.least:g} or more, is the same or not, as "
            "labelled; the second of each is enrolled in float"
        )

    def decided(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch row"]:
        """The vector; beside it, where a label tells, the one enrolled and whether it is the
        same (1) or not (-1); else zeros."""
        vectors = numbers_of(output).double()
        return F.pad(vectors, (0, vectors.shape[1] + 1))

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """By how much the cosine is on the wanted side."""
        _, enrolled = decided[:, :-1].chunk(2, 1)
        near = cosine_with(output, enrolled)
        return (near - self.least) * decided[:, -1].to(near)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """The cosine with float's own vector, none below 0."""
        vectors, _ = decided[:, :-1].chunk(2, 1)
        return cosine_with(output, vectors).clamp(0, 1)

    def told(self, output: Tensor, target: Tensor) -> Float[Tensor, "1 row"]:
        """As `decided`.

        Args:
            target: (values + 1,): the enrolled vector, and 1 for the same or 0 for another.

        Raises:
            InputError: another shape or number.
        """
        vector = numbers_of(output).double()
        wanted = target.flatten().double().to(vector.device)[None].clone()
        if wanted.shape[1] != vector.shape[1] + 1 or float(wanted[0, -1]) not in (0, 1):
            raise InputError(
                "a label must be the vector that is enrolled, and 1 for the same or 0 for another"
            )
        wanted[0, -1] = 2 * wanted[0, -1] - 1
        return torch.cat([vector, wanted], 1)

    def check(self, output: Tensor, targets: Shaped[Tensor, "n row"]) -> None:
        """InputError where float has all pairs on one side."""
        near = cosine_with(output, targets[:, :-1])
        low, high = float(near.min()), float(near.max())
        if low >= self.least or high < self.least:
            raise InputError(
                f"--task {self.name}: the cosines of all {len(near)} pairs lie on one side of it, "
                f"from {low:.3g} to {high:.3g}; give one between"
            )


def _unit(output: Tensor) -> Float[Tensor, "batch values"]:
    return F.normalize(numbers_of(output).double(), dim=1)
