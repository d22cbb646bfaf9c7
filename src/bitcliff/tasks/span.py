"""An answer that is read off a text: from which of its tokens to which."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.tasks.positions import by_position, leads_by_position
from bitcliff.types.subject import Inputs


@dataclass(frozen=True)
class Span:
    """The network gives scores (batch, 2, tokens): of its first token, and of its last."""

    name: ClassVar[str] = "span"
    words: ClassVar[str] = (
        "whether the first and the last token of the answer are {own}; how much of each stays is "
        "the F1 of its tokens"
    )

    def decided(self, output: Tensor, inputs: Inputs) -> Int[Tensor, "batch 2"]:
        """The two tokens."""
        return _ends(output).argmax(2).int()

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """That of the one of the two that leads less."""
        return leads_by_position(_ends(output), decided).amin(1)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """F1 of the tokens of both answers; where both are none, which ends before it begins, 1."""
        own = self.decided(output, inputs).to(decided)
        first, last = (
            torch.maximum(own[:, 0], decided[:, 0]),
            torch.minimum(own[:, 1], decided[:, 1]),
        )
        sizes = [(one[:, 1] - one[:, 0] + 1).clamp(min=0) for one in (own, decided)]
        both, whole = (last - first + 1).clamp(min=0), sizes[0] + sizes[1]
        both = torch.minimum(both, torch.minimum(sizes[0], sizes[1]))
        return torch.where(whole > 0, 2 * both / whole.clamp(min=1), 1.0)

    def told(self, output: Tensor, target: Tensor) -> Int[Tensor, "1 2"]:
        """The numbers of the two tokens.

        Raises:
            InputError: there are not two, in order, of those that the text has.
        """
        first_last, tokens = target.flatten().long(), _ends(output).shape[2]
        inside = len(first_last) == 2 and 0 <= int(first_last[0]) <= int(first_last[1]) < tokens
        if not inside:
            raise InputError(
                f"a label must be the first and the last token of the answer, of 0 to {tokens - 1}"
            )
        return first_last[None].int()


def _ends(output: Tensor) -> Float[Tensor, "batch 2 tokens"]:
    if output.ndim != 3 or output.shape[1] != 2:
        raise InputError(
            "the model must give scores of an answer's first and last token (batch, 2, tokens), "
            f"but gave shape {tuple(output.shape)}"
        )
    return by_position(output)
