"""One way of damaging an image, in five degrees."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Corruption:
    """A corruption, whatever library it comes from.

    Attributes:
        name: as in the record and the report.
        measure: what its strength is, with units, such as "quality".
        strengths: that measure at each of `DEGREES`, weakest first.
        apply: an image (channels, height, width), 1 or 3 channels, values in [0, 1], a degree and
            a source of chance, to an image of the same shape. It reads nothing else and changes
            nothing. Values outside [0, 1] are cut off afterwards.
    """

    name: str
    measure: str
    strengths: tuple[float | int, ...]
    apply: Callable[
        [Float[Tensor, "channels height width"], int, np.random.Generator],
        Float[Tensor, "channels height width"],
    ]
