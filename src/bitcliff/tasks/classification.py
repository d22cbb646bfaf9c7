"""One class of several."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.subject import Inputs


@dataclass(frozen=True)
class Classification:
    """The network gives a score for each class."""

    name: str = "classification"
    words: str = "one class, that of the largest score"
    decisions: tuple[str, ...] | None = None

    def scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch classes"]:
        """As they are; axes of size 1 may follow.

        Raises:
            InputError: they are not (batch, classes).
        """
        scores = flat_scores(output)
        if scores.ndim != 2:
            raise InputError(
                "the model must give class scores (batch, classes), but gave shape "
                f"{tuple(scores.shape)}: {other_task(scores.shape)}"
            )
        return scores

    def scores_before(self, given: Tensor, inputs: Inputs) -> Float[Tensor, "batch classes"]:
        """As they are."""
        return self.scores(given, inputs)


def flat_scores(output: Tensor) -> Tensor:
    """(batch, classes) where all other axes are of size 1, as pools and convolutions leave them."""
    longer = [size for size in output.shape[1:] if size != 1]
    return output.flatten(1) if output.ndim > 2 and len(longer) < 2 else output


def other_task(shape: Sequence[int | str | None]) -> str:
    """What an output that is no row of class scores is likely to answer; empty for class scores.

    Args:
        shape: batch first.
    """
    longer = [size for size in shape[1:] if size != 1]
    if len(longer) == 1:
        return ""
    if not longer:
        return "one number an example: give --task threshold:NUMBER or values:TOLERANCE"
    if len(shape) == 3:
        meant = "several rows an example (frames, letters, tokens or boxes)"
        return f"{meant}: for a class in each give --task positions, or ctc"
    return "a map of each example: for a class in each pixel give --task positions:0.01"
