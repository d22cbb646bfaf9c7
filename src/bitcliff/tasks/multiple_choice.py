"""Which of several ways to go on a language model finds likeliest."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.subject import Choices, Inputs

_IDS = "input_ids"


@dataclass(frozen=True)
class MultipleChoice:
    """The network gives scores (batch, choices, positions, tokens), of a question with each choice.

    A choice's score is the logarithm of its probability after the question: the sum of its tokens'.
    """

    name: str = "choice"
    words: str = "one of the choices, that of the largest log-likelihood after the question"
    decisions: tuple[str, ...] | None = None

    def scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch choices"]:
        """In nats.

        Raises:
            InputError: the data has no choices.
        """
        if not isinstance(inputs, Choices) or output.ndim != 4:
            raise InputError(
                "the model must give scores of a question with several choices, but gave shape "
                f"{tuple(output.shape)}: give FILE.jsonl of question, choices and answer"
            )
        logarithms = output[:, :, :-1].log_softmax(-1)
        ids, counts = (inputs[name][:, 1:].transpose(1, 2) for name in (_IDS, Choices.COUNTS))
        return (logarithms.take_along_dim(ids[..., None], 3)[..., 0] * counts).sum(2)

    def scores_before(self, given: Tensor, inputs: Inputs) -> Float[Tensor, "batch choices"]:
        """The same."""
        return self.scores(given, inputs)
