"""The token that a language model would go on with."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.subject import Inputs, mask_over


@dataclass(frozen=True)
class NextToken:
    """The network gives a score for each token that may follow, at every position of a text."""

    name: str = "next-token"
    words: str = "the token that follows the text, that of the largest score"
    decisions: tuple[str, ...] | None = None

    def scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch tokens"]:
        """Those at the text's last token.

        Raises:
            InputError: they are not (batch, positions, tokens).
        """
        if output.ndim != 3 or not output.is_floating_point():
            raise InputError(
                "the model must give scores (batch, positions, tokens), but gave shape "
                f"{tuple(output.shape)}"
            )
        mask = mask_over(inputs, output.shape[:2])
        if mask is None:
            return output[:, -1]
        places = torch.arange(mask.shape[1], device=mask.device)
        last = (places * (mask != 0)).argmax(1)
        return output[torch.arange(len(output), device=output.device), last]

    def scores_before(self, given: Tensor, inputs: Inputs) -> Float[Tensor, "batch tokens"]:
        """The same."""
        return self.scores(given, inputs)
