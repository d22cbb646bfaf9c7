"""One class of several."""

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
                f"{tuple(scores.shape)}"
            )
        return scores

    def scores_before(self, given: Tensor, inputs: Inputs) -> Float[Tensor, "batch classes"]:
        """As they are."""
        return self.scores(given, inputs)


def flat_scores(output: Tensor) -> Tensor:
    """(batch, classes) where all other axes are of size 1, as pools and convolutions leave them."""
    longer = [size for size in output.shape[1:] if size != 1]
    return output.flatten(1) if output.ndim > 2 and len(longer) < 2 else output
