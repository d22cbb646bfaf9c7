"""Images or sounds under several corruptions at once, each as strong as the search likes up to a
bound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from bitcliff.questions.provocation.attack import Tried
from bitcliff.questions.provocation.rivals import Slopes
from bitcliff.types.corruption import Corruption, Degree

# Draws of chance (sides, places, noise) that the search may choose among.
_DRAWS = 16
# Small: what fails lies near, and a wide spread found less than chance (design/025).
_FIRST_SPREAD = 0.03
_WORST = 1e9


@dataclass(frozen=True)
class Composition:
    """What makes of an example and a vector in [0, 1] a corrupted example.

    The vector has a number for each corruption, of which the upper half makes degrees from 0 to
    `degree` and the lower leaves the corruption out, and one that chooses among draws of chance.

    Attributes:
        corruptions: in the order in which they act. apply: one of them on one example's input.
    """

    corruptions: Sequence[Corruption]
    degree: float
    apply: Callable[[Tensor, Corruption, Degree, np.random.Generator], Tensor]

    @property
    def dimensions(self) -> int:
        """Of the vector."""
        return len(self.corruptions) + 1

    def degrees(self, vector: np.ndarray) -> dict[str, float]:
        """Of the corruptions that act, by name."""
        found = np.clip(2 * vector[:-1] - 1, 0, 1) * self.degree
        return {
            one.name: float(degree)
            for one, degree in zip(self.corruptions, found, strict=True)
            if degree > 0
        }

    def made(self, parent: Tensor, vector: np.ndarray) -> Tensor:
        """The example's input, corrupted; by the arguments alone."""
        draw, changed = min(int(vector[-1] * _DRAWS), _DRAWS - 1), parent
        degrees = self.degrees(vector)
        for place, corruption in enumerate(self.corruptions):
            if corruption.name in degrees:
                rng = np.random.default_rng((draw, place))
                changed = self.apply(changed, corruption, degrees[corruption.name], rng)
        return changed


class AtRandom:
    """The control: vectors spread evenly."""

    slopes: Slopes = "none"

    def __init__(self, composition: Composition, parent: Tensor, rng: np.random.Generator) -> None:
        self._composition, self._parent, self._rng = composition, parent, rng
        self.vector = np.zeros(composition.dimensions)

    def ask(self) -> Tensor:
        """Drawn anew."""
        self.vector = self._rng.random(self._composition.dimensions)
        return self._composition.made(self._parent, self.vector)

    def tell(self, tried: Tried) -> None:
        """Nothing is learned."""


class ByEvolution:
    """Some vectors at random, then CMA-ES from the best of them.

    Source: Hansen 2016, by the package cmaes.

    Args:
        optimiser: makes `cmaes.CMA`. steps: in all.
    """

    slopes: Slopes = "none"

    def __init__(
        self,
        composition: Composition,
        parent: Tensor,
        rng: np.random.Generator,
        optimiser: Callable[..., Any],
        steps: int,
    ) -> None:
        self._composition, self._parent, self._rng = composition, parent, rng
        self._make = optimiser
        self._optimiser: Any = None
        self._at_random = max(1, steps // 5)
        self._told: list[tuple[np.ndarray, float]] = []
        self.vector = np.zeros(composition.dimensions)

    def ask(self) -> Tensor:
        """One at random, or a member of the present generation."""
        if self._optimiser is None:
            self.vector = self._rng.random(self._composition.dimensions)
        else:
            self.vector = self._optimiser.ask()
        return self._composition.made(self._parent, self.vector)

    def tell(self, tried: Tried) -> None:
        """The next generation, once this one is whole."""
        self._told.append((self.vector, min(tried.merit, _WORST)))
        if self._optimiser is None:
            if len(self._told) >= self._at_random:
                self._begin(min(self._told, key=lambda one: one[1])[0])
        elif len(self._told) == self._optimiser.population_size:
            self._optimiser.tell(self._told)
            self._told = []

    def _begin(self, best: np.ndarray) -> None:
        self._told = []
        self._optimiser = self._make(
            mean=best,
            sigma=_FIRST_SPREAD,
            bounds=np.tile([0.0, 1.0], (len(best), 1)),
            seed=int(self._rng.integers(2**31)),
        )
