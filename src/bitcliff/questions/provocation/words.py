"""Texts near an example: a few of its words swapped for others that the network holds for like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.questions.provocation.attack import Tried
from bitcliff.questions.provocation.rivals import Slopes
from bitcliff.types.subject import IDS, MASK, AllInputs, Texts

# Words that each word may be swapped for: its neighbours by the cosine of their embeddings.
_LIKE = 24
# Swaps that are tried of each gradient, the best by its first order.
_TRIED = 6
_AT_A_TIME = 2048


@dataclass(frozen=True)
class Words:
    """What words of a vocabulary may be swapped for.

    Attributes:
        swaps: how many of a text's words may differ. embedding: the network's own table. names: of
            all tokens. like: of each token those it may be swapped for; empty where it is no word.
    """

    swaps: int
    embedding: nn.Embedding
    names: tuple[str, ...]
    like: tuple[tuple[int, ...], ...]

    def places(self, tokens: Int[Tensor, " tokens"], mask: Bool[Tensor, " tokens"]) -> list[int]:
        """Where a text has a word that can be swapped."""
        pairs = zip(tokens.tolist(), mask.tolist(), strict=True)
        return [place for place, (token, there) in enumerate(pairs) if there and self.like[token]]


def words_of(
    swaps: int, module: nn.Module, written: Callable[[Sequence[int]], str] | None, inputs: AllInputs
) -> Words:
    """Of a network and the tokens of its data.

    Raises:
        InputError: it takes no texts, or none that can be written out; or no word can be swapped.
    """
    table, names = vocabulary(module, written, inputs)
    assert isinstance(inputs, Texts)  # noqa: S101  (`vocabulary` has seen to it)
    used = sorted({int(token) for token in inputs[IDS].unique().tolist()})
    like = _like(table.weight.detach().float(), names, used)
    if not any(like):
        raise InputError("words cannot be swapped: the texts hold no whole word of letters")
    return Words(swaps, table, names, like)


def vocabulary(
    module: nn.Module, written: Callable[[Sequence[int]], str] | None, inputs: AllInputs
) -> tuple[nn.Embedding, tuple[str, ...]]:
    """A network's own table of tokens, and what each of them says.

    Raises:
        InputError: it takes no texts, or none that can be written out.
    """
    tables = [one for one in module.modules() if isinstance(one, nn.Embedding)]
    if type(inputs) is not Texts or IDS not in inputs or written is None or not tables:
        raise InputError("words can be changed for models from hf: that read texts alone")
    table = max(tables, key=lambda one: one.num_embeddings)
    return table, tuple(written([token]) for token in range(table.num_embeddings))


def _like(
    weights: Float[Tensor, "tokens width"], names: tuple[str, ...], used: Sequence[int]
) -> tuple[tuple[int, ...], ...]:
    """The nearest words, written alike: with or without a space, a capital at first or none."""
    kinds = torch.tensor([kind_of_word(name) for name in names])
    unit = weights / weights.norm(dim=1, keepdim=True).clamp(min=1e-12)
    found: list[tuple[int, ...]] = [()] * len(names)
    asked = [token for token in used if kinds[token] >= 0]
    for start in range(0, len(asked), _AT_A_TIME):
        part = torch.tensor(asked[start : start + _AT_A_TIME])
        near = unit[part] @ unit.T
        near[kinds[part][:, None] != kinds[None, :]] = -torch.inf
        near[torch.arange(len(part)), part] = -torch.inf
        best = near.topk(min(_LIKE, len(names) - 1), dim=1)
        for row, token in enumerate(part.tolist()):
            pairs = zip(best.indices[row].tolist(), best.values[row].tolist(), strict=True)
            found[token] = tuple(other for other, value in pairs if value > -torch.inf)
    return tuple(found)


def kind_of_word(name: str) -> int:
    """How a token is written, if it is a whole word of letters; else -1."""
    word = name.strip()
    if len(word) < 2 or not word.isalpha():
        return -1
    return 2 * name.startswith(" ") + word[0].isupper()


class _Swapped:
    """A text with some words swapped, never more than are allowed."""

    def __init__(
        self, words: Words, parent: Int[Tensor, " tokens"], mask: Bool[Tensor, " tokens"]
    ) -> None:
        self.words, self.parent, self.mask = words, parent, mask
        self.places = words.places(parent, mask)

    def room(self, tokens: Tensor) -> list[int]:
        """Where a swap is still allowed."""
        changed = [place for place in self.places if tokens[place] != self.parent[place]]
        return changed if len(changed) >= self.words.swaps else self.places

    def with_swap(self, tokens: Tensor, place: int, token: int) -> Tensor:
        """The same with another word at a place."""
        found = tokens.clone()
        found[place] = token
        return found

    def others(self, place: int) -> tuple[int, ...]:
        """What a place's own word may be swapped for."""
        return self.words.like[int(self.parent[place])]

    def any_swap(self, tokens: Tensor, rng: np.random.Generator) -> Tensor:
        """One at random; the same text where no word can be swapped."""
        room = self.room(tokens)
        if not room:
            return tokens
        place = int(rng.choice(room))
        return self.with_swap(tokens, place, int(rng.choice(self.others(place))))


class AtRandom:
    """The control: as many swaps as fall, up to what is allowed."""

    slopes: Slopes = "none"

    def __init__(
        self, words: Words, parent: Tensor, mask: Tensor, rng: np.random.Generator
    ) -> None:
        self._text, self._rng = _Swapped(words, parent, mask), rng

    def ask(self) -> Tensor:
        """Drawn anew."""
        tokens = self._text.parent
        for _ in range(int(self._rng.integers(1, self._text.words.swaps + 1))):
            tokens = self._text.any_swap(tokens, self._rng)
        return tokens

    def tell(self, tried: Tried) -> None:
        """Nothing is learned."""


class BySwaps:
    """Swaps at random, kept where the merit does not grow, from the text anew now and then."""

    slopes: Slopes = "none"

    def __init__(
        self, words: Words, parent: Tensor, mask: Tensor, rng: np.random.Generator, steps: int
    ) -> None:
        self._text, self._rng, self._each = _Swapped(words, parent, mask), rng, max(1, steps // 3)
        self._number, self._merit = 0, float("inf")
        self._best = self._trial = parent

    def ask(self) -> Tensor:
        """The best so far with one word swapped."""
        if self._number:
            self._trial = self._text.any_swap(self._best, self._rng)
        return self._trial

    def tell(self, tried: Tried) -> None:
        """Kept where it is no worse."""
        self._number += 1
        if tried.merit <= self._merit:
            self._best, self._merit = self._trial, tried.merit
        if self._number % self._each == 0:
            self._best, self._merit = self._text.parent, float("inf")


class ByGradient:
    """Swaps that lower the quantized lead most by the gradient in embeddings, float's held.

    Source: HotFlip, Ebrahimi et al. 2018; the best few by first order are run.
    """

    def __init__(
        self, words: Words, parent: Tensor, mask: Tensor, rng: np.random.Generator
    ) -> None:
        self._text, self._rng = _Swapped(words, parent, mask), rng
        self._base = self._trial = parent
        self._best, self._merit = parent, float("inf")
        self._queue: list[Tensor] = []
        self._left = 0

    @property
    def slopes(self) -> Slopes:
        """A gradient first, then plain looks at what it proposes."""
        return "straight" if self._left == 0 else "none"

    def ask(self) -> Tensor:
        """The text so far, then each of the proposed swaps."""
        if self._left == 0:
            self._trial = self._base
        else:
            some = self._queue or [self._text.any_swap(self._base, self._rng)]
            self._trial, self._queue = some[0], some[1:]
        return self._trial

    def tell(self, tried: Tried) -> None:
        """On from the best that was proposed, or anew where nothing is gained."""
        if self._left == 0:
            self._queue, self._left = self._proposed(tried), _TRIED
            self._best, self._merit = self._base, float("inf")
            return
        self._left -= 1
        if tried.merit <= self._merit:
            self._best, self._merit = self._trial, tried.merit
        if self._left == 0:
            done = len(self._text.room(self._best)) < len(self._text.places)
            self._base = self._anew() if done and self._rng.random() < 0.5 else self._best

    def _anew(self) -> Tensor:
        return self._text.any_swap(self._text.parent, self._rng)

    def _proposed(self, tried: Tried) -> list[Tensor]:
        """The best swaps of the text so far: those that keep float's lead by first order first."""
        assert tried.up is not None  # noqa: S101  (asked for)
        assert tried.down is not None  # noqa: S101  (asked for)
        table, base = self._text.words.embedding.weight.detach(), self._base
        seen = torch.cumsum(self._text.mask.long(), 0) - 1
        ranked: list[tuple[float, int, int]] = []
        for place in self._text.room(base):
            others = torch.tensor(self._text.others(place))
            change = (table[others] - table[int(base[place])]).float()
            row = int(seen[place])
            lower = (change @ tried.down[row].float()).tolist()
            keeps = (change @ tried.up[row].float()).tolist()
            for other, less, more in zip(others.tolist(), lower, keeps, strict=True):
                if other != int(base[place]):
                    guess = Tried(tried.in_float + more, tried.quantized + less, tried.delta)
                    ranked.append((guess.merit, place, other))
        ranked.sort()
        return [self._text.with_swap(base, place, other) for _, place, other in ranked[:_TRIED]]


def as_inputs(asked: Sequence[Tensor], own: Texts) -> Texts:
    """Changed tokens of some texts as the network takes them."""
    return Texts({**own, IDS: torch.stack(list(asked))})


def masks(inputs: Texts) -> Bool[Tensor, "n tokens"]:
    """Where texts have tokens."""
    return inputs[MASK] != 0
