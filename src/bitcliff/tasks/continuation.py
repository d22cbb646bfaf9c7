"""The tokens that a language model goes on with, several of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.tasks.positions import by_position, leads_by_position
from bitcliff.types.subject import DECODED, IDS, Inputs, Texts, mask_over


@dataclass(frozen=True)
class Continuation:
    """The network gives scores (batch, positions, tokens), of texts that go on with float's tokens.

    Each text is followed by all but the last of the tokens that float goes on with, each the one of
    the largest score (`points.continuation`). A quantized network that says the same at each of
    them says the same when it goes on by itself.

    Attributes:
        tokens: how many, at most: what follows a token that ends a text counts for nothing.
        ends: those tokens.
    """

    tokens: int
    ends: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return f"continuation:{self.tokens}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return f"whether the up to {self.tokens} tokens that follow are {{own}}"

    def decided(self, output: Tensor, inputs: Inputs) -> Int[Tensor, "batch tokens"]:
        """The tokens."""
        return self._scores(output, inputs).argmax(2).int()

    def lead(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """That of float's token where it leads least."""
        leads = leads_by_position(self._scores(output, inputs), decided)
        return leads.masked_fill(~self._counted(output, inputs), torch.inf).amin(1)

    def share(self, output: Tensor, inputs: Inputs, decided: Tensor) -> Float[Tensor, " batch"]:
        """Of the tokens, those before the first that is another."""
        counted = self._counted(output, inputs)
        same = (self.decided(output, inputs) == decided) & counted
        return same.int().cumprod(1).sum(1) / counted.sum(1)

    @property
    def passes(self) -> int:
        """One a token, but for the first, which is heard in any case."""
        return self.tokens - 1

    def symbols(self, output: Tensor, inputs: Inputs) -> list[tuple[int, ...]]:
        """The tokens up to an end, without it."""
        every = self.decided(output, inputs).tolist()
        return [tuple(takewhile(lambda one: one not in self.ends, row)) for row in every]

    def followed(
        self, inputs: Inputs, rows: Int[Tensor, " rows"], own: Sequence[tuple[int, ...]]
    ) -> Inputs:
        """The last tokens replaced by these, and behind them by one that ends a text."""
        ids = decoded(inputs)
        assert ids is not None  # noqa: S101  (of such a network)
        assert isinstance(inputs, Mapping)  # noqa: S101  (as it has tokens by name)
        changed, name = ids.clone(), DECODED if DECODED in inputs else IDS
        mask = mask_over(inputs, ids.shape)
        for row, symbols in zip(rows.tolist(), own, strict=True):
            end = ids.shape[1] if mask is None else int(mask[row].nonzero()[-1]) + 1
            filled = [*symbols, *self.ends[:1] * self.tokens][: self.tokens - 1]
            changed[row, end - len(filled) : end] = torch.tensor(filled)
        given = {**inputs, name: changed}
        return type(inputs)(given) if isinstance(inputs, Texts) else given

    def told(self, output: Tensor, target: Tensor) -> Int[Tensor, "1 tokens"]:
        """Nothing: texts are followed by what float says, and not by a label.

        Raises:
            InputError: always.
        """
        raise InputError(f"--task {self.name} takes no labels; leave them out, or see next-token")

    def _scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch tokens symbols"]:
        """Those of the last positions of each text."""
        scores = by_position(output)
        return scores.take_along_dim(self._places(scores, inputs)[:, :, None], 1)

    def _counted(self, output: Tensor, inputs: Inputs) -> Bool[Tensor, "batch tokens"]:
        """Those of the same positions that are not behind an end."""
        scores = by_position(output)
        places = self._places(scores, inputs)
        ids = decoded(inputs)
        if ids is None or not self.ends or ids.shape != scores.shape[:2]:
            return torch.ones_like(places, dtype=torch.bool)
        ended = torch.isin(ids.gather(1, places), torch.tensor(self.ends, device=ids.device))
        ended[:, 0] = False  # which the text itself may end with
        return ~ended

    def _places(
        self, scores: Float[Tensor, "batch positions symbols"], inputs: Inputs
    ) -> Int[Tensor, "batch tokens"]:
        mask = mask_over(inputs, scores.shape[:2])
        places = torch.arange(scores.shape[1], device=scores.device)
        last = places[-1].expand(len(scores))
        if mask is not None:
            last = (places * (mask != 0)).argmax(1)
        # One less where a text is run before it goes on.
        count = min(self.tokens, scores.shape[1])
        chosen = last[:, None] - count + 1 + places[:count]
        return chosen.clamp(min=0)


def decoded(inputs: Inputs) -> Int[Tensor, "batch positions"] | None:
    """The tokens that the network goes on from: of one that hears or translates, its own."""
    if not isinstance(inputs, Mapping):
        return None
    return inputs.get(DECODED, inputs.get(IDS))
