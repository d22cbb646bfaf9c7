"""One way of damaging an image or a sound, in five degrees."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Degree = int | float
"""From 1 to 5, or between them; 0 for none."""


@dataclass(frozen=True)
class Corruption:
    """A corruption, whatever library it comes from.

    Attributes:
        name: as in the record and the report.
        measure: what its strength is, with units, such as "quality".
        strengths: that measure at each of `DEGREES`, weakest first.
        apply: an image (channels, height, width), 1 or 3 channels, values in [0, 1], or a sound
            (samples,) or (channels, samples), a degree, which may lie between two, and a source of
            chance, to one of the same shape. It reads nothing else and changes nothing. What lies
            outside [0, 1], or beyond full scale, is cut off afterwards.
    """

    name: str
    measure: str
    strengths: tuple[float | int, ...]
    apply: Callable[[Tensor, Degree, np.random.Generator], Tensor]


def strength_at(strengths: Sequence[Degree], degree: Degree, none: Degree = 0.0) -> float:
    """Between two degrees the strength in proportion; `none` is the strength at degree 0."""
    return float(np.interp(degree, range(len(strengths) + 1), (none, *strengths)))


def either_way(rng: np.random.Generator) -> int:
    """1 or -1, as chance has it."""
    return 1 if rng.random() < 0.5 else -1


def noise_like(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Standard normal noise of the same shape and type."""
    return torch.from_numpy(rng.standard_normal(tuple(x.shape))).to(x.dtype)
