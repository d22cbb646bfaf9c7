"""The tokens that a language model goes on with, several of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.tasks.positions import by_position, leads_by_position
from bitcliff.types.subject import MASK, Inputs


@dataclass(frozen=True)
class Continuation:
    """The network gives scores (batch, positions, tokens), of texts that go on with float's tokens.

    Each text is followed by all but the last of the tokens that float goes on with, each the one of
    the largest score (`points.continuation`). A quantized network that says the same at each of
    them says the same when it goes on by itself.

    Attributes:
        tokens: how many.
    """

    tokens: int

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return f"continuation:{self.tokens}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return f"whether the {self.tokens} tokens that follow the text are {{own}}"

    def decided(self, output: Tensor, inputs: Inputs) -> Int[Tensor, "batch tokens"]:
        """The tokens."""
        return self._scores(output, inputs).argmax(2).int()

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """That of float's token where it leads least."""
        return leads_by_position(self._scores(output, inputs), decided).amin(1)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """Of the tokens, those before the first that is another."""
        same = self.decided(output, inputs) == decided
        return same.int().cumprod(1).sum(1) / same.shape[1]

    def told(self, output: Tensor, target: Tensor) -> Int[Tensor, "1 tokens"]:
        """Nothing: texts are followed by what float says, and not by a label.

        Raises:
            InputError: always.
        """
        raise InputError(f"--task {self.name} takes no labels; leave them out, or see next-token")

    def _scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch tokens symbols"]:
        """Those of the last positions of each text."""
        scores = by_position(output)
        mask = inputs.get(MASK) if isinstance(inputs, Mapping) else None
        places = torch.arange(scores.shape[1], device=scores.device)
        last = places[-1].expand(len(scores))
        if mask is not None and mask.shape == scores.shape[:2]:
            last = (places * (mask != 0)).argmax(1)
        # One less where a text is run before it goes on.
        count = min(self.tokens, scores.shape[1])
        chosen = last[:, None] - count + 1 + places[:count]
        return scores.take_along_dim(chosen.clamp(min=0)[:, :, None], 1)
