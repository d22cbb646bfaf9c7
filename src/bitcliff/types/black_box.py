"""What a student is distilled from when only its outputs are to be had."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

Images = Float[Tensor, "batch *rest"]
"""At least one example, preprocessed as the student takes it."""

Outputs = Float[Tensor, "batch *rest"] | Int[Tensor, " batch"]
"""Scores as they come (logits or probabilities, float32), or only a class for each (int64)."""


@dataclass(frozen=True)
class BlackBox:
    """A network, or anything else, that gives outputs: no gradient and no weights are asked of it.

    Attributes:
        name: as the user gave it.
        identity: what a resumed run must find unchanged: the SHA-256 of the files or of the
            weights, the address, or the dotted name of the user's function.
        ask: images to outputs, on the images' device. Outputs are checked: one for each
            image, finite, the same number of classes (or a class only) every time. Raises
            InputError, one line that names the black box, where there is no such output.
    """

    name: str
    identity: str
    ask: Callable[[Images], Outputs]
