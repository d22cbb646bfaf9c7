"""Triggers: what is put on every input alike, how one is drawn, changed and put on."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from bitcliff.audit.prepare import Prepared
from bitcliff.errors import InputError
from bitcliff.points import take
from bitcliff.questions.image_scale import layout_of
from bitcliff.questions.provocation.pixels import ball_of, window
from bitcliff.questions.provocation.scale import scale_of
from bitcliff.questions.provocation.words import kind_of_word, vocabulary
from bitcliff.types.subject import IDS, MASK, Inputs, Preprocessing, Texts
from bitcliff.types.within import Within

# Swaps of a prefix's tokens that are tried of each gradient, the best by its first order.
_SWAPS = 6
_MOVES = 0.15
# A patch's side is so much of an image's where none is asked for.
_USUAL_SHARE, _USUAL_LEAST = 8, 3


@dataclass(frozen=True)
class Trigger:
    """One for all inputs.

    Attributes:
        values: of a patch its pixels and of a blend what is added, (channels, height, width), black
            to white being 1. Of a prefix its tokens. where: of a patch, where it lies.
    """

    values: Tensor
    where: Tensor | None = None


class Triggers(ABC):
    """Those of a set, for the examples that can fail.

    Attributes:
        within: which set. parents: the examples, as the network takes them.
        momentum: of earlier gradients, how much is kept.
    """

    momentum = 0.0

    def __init__(self, within: Within, parents: Inputs) -> None:
        self.within, self.parents = within, parents

    @property
    def embedding(self) -> nn.Module | None:
        """In whose results gradients are taken; None: in the inputs."""
        return None

    @property
    def lengths(self) -> list[int] | None:
        """Of texts, each one's in tokens: those of one length are run together."""
        return None

    @abstractmethod
    def drawn(self, rng: np.random.Generator) -> Trigger:
        """Any of the set, at random."""

    @abstractmethod
    def on(self, trigger: Trigger, places: Tensor) -> Inputs:
        """It on these of the parents, of one length, as the network takes them."""

    @abstractmethod
    def gradient(
        self, trigger: Trigger, up: Tensor, down: Tensor, more: Tensor, less: Tensor
    ) -> Tensor:
        """In the trigger: of float's and the quantized network's gradients (rows, *rest) the sum
        with the weights `more` and `less` (rows,)."""

    @abstractmethod
    def proposed(self, trigger: Trigger, gradient: Tensor, length: float) -> list[Trigger]:
        """Downhill, by a share of the way across the set; where it has steps, the best few."""

    @abstractmethod
    def mutated(self, trigger: Trigger, share: float, rng: np.random.Generator) -> Trigger:
        """Up to this share of it changed at random."""

    @abstractmethod
    def told(self, trigger: Trigger) -> str:
        """In words."""

    def picture(self, trigger: Trigger) -> Tensor | None:
        """By itself, of images (channels, height, width) in [0, 1]."""
        return None

    def images(self, inputs: Inputs) -> Tensor | None:
        """Inputs as images in [0, 1], if they are some."""
        return None

    def text(self, inputs: Inputs) -> str:
        """What the first of some texts says."""
        return ""


class Stamps(Triggers):
    """Patches, and blends: patterns that are added."""

    momentum = 0.7

    def __init__(self, within: Within, prepared: Prepared, parents: Tensor) -> None:
        super().__init__(within, parents)
        scale = scale_of(prepared.evaluator.inputs, prepared.subject.preprocessing)
        self._images = scale.to_images(parents)
        self._ball = ball_of(within, scale, self._images)
        self._grey = torch.full_like(self._images[0], 0.5)

    def drawn(self, rng: np.random.Generator) -> Trigger:
        if self._ball.norm != "patch":
            return Trigger(self._ball.drawn(self._grey, rng) - self._grey)
        where = self._ball.patch(self._grey, rng)
        at_ends = rng.random() < 0.5
        noise = rng.integers(0, 2, where.shape) if at_ends else rng.random(where.shape)
        return Trigger(torch.from_numpy(noise).to(self._grey), where)

    def on(self, trigger: Trigger, places: Tensor) -> Inputs:
        return self._ball.scale.to_inputs(self._stamped(trigger, self._images[places]))

    def _stamped(self, trigger: Trigger, images: Tensor) -> Tensor:
        values = self._ball.allowed(trigger.values)
        if trigger.where is not None:
            return torch.where(trigger.where, values.clamp(0, 1), images)
        return (images + values).clamp(0, 1)

    def gradient(
        self, trigger: Trigger, up: Tensor, down: Tensor, more: Tensor, less: Tensor
    ) -> Tensor:
        whole = _weighted(up, down, more, less)
        found = self._ball.scale.gradient_to_images(whole)
        return found if trigger.where is None else found * trigger.where

    def proposed(self, trigger: Trigger, gradient: Tensor, length: float) -> list[Trigger]:
        ball = self._ball
        way = gradient.sign()
        if ball.norm == "l2":
            way = gradient / max(float(gradient.norm()), 1e-12)
        reach = 1.0 if ball.norm == "patch" else ball.size
        return [self._inside(trigger, trigger.values - reach * length * way)]

    def _inside(self, trigger: Trigger, values: Tensor) -> Trigger:
        # In whole levels only when it is put on, so that small steps add up.
        kept = self._ball.within(values)
        return replace(trigger, values=kept.clamp(0, 1) if trigger.where is not None else kept)

    def mutated(self, trigger: Trigger, share: float, rng: np.random.Generator) -> Trigger:
        where = trigger.where
        if where is not None and rng.random() < _MOVES:
            return self._moved(trigger, rng)
        shape = trigger.values.shape
        if len(shape) < 3:  # features have no neighbours
            chosen = torch.from_numpy(rng.random(tuple(shape)) < share)
        else:
            chosen = self._square(trigger, share, rng)
        fresh = self.drawn(rng).values
        if len(shape) == 3 and rng.random() < 0.5:
            fresh = fresh.flatten(1)[:, :1, None].expand(shape)  # of one colour
        return self._inside(trigger, torch.where(chosen, fresh, trigger.values))

    def _square(self, trigger: Trigger, share: float, rng: np.random.Generator) -> Tensor:
        rows, columns = (torch.arange(n) for n in trigger.values.shape[-2:])
        if trigger.where is not None:
            seen = trigger.where.any(0)
            rows, columns = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
        side = max(1, round((share * len(rows) * len(columns)) ** 0.5))
        side = min(side, len(rows), len(columns))
        top = int(rows[0]) + int(rng.integers(len(rows) - side + 1))
        left = int(columns[0]) + int(rng.integers(len(columns) - side + 1))
        return window(trigger.values, top, left, side, side)

    def _moved(self, trigger: Trigger, rng: np.random.Generator) -> Trigger:
        """The same patch elsewhere."""
        assert trigger.where is not None  # noqa: S101  (a patch)
        where = self._ball.patch(self._grey, rng)
        values = trigger.values.clone()
        values[where] = trigger.values[trigger.where]
        return Trigger(values, where)

    def told(self, trigger: Trigger) -> str:
        values = self._ball.allowed(trigger.values)
        if trigger.where is None:
            size = float(values.norm() if self._ball.norm == "l2" else values.abs().amax())
            return f"a pattern added, {self._ball.norm} norm {size:.3g}"
        rows, columns = trigger.where.any(0).nonzero().amin(0).tolist()
        side = int(self._ball.size)
        return f"a square of {side} × {side} pixels, {rows} from the top, {columns} from the left"

    def picture(self, trigger: Trigger) -> Tensor | None:
        if self._ball.scale.images is None:
            return None
        if trigger.where is not None:
            return self._stamped(trigger, self._grey[None])[0]
        values = self._ball.allowed(trigger.values)
        return (0.5 + 0.5 * values / max(float(values.abs().amax()), 1e-12)).clamp(0, 1)

    def images(self, inputs: Inputs) -> Tensor | None:
        assert isinstance(inputs, Tensor)  # noqa: S101  (as its parents are)
        return None if self._ball.scale.images is None else self._ball.scale.to_images(inputs)


class Prefixes(Triggers):
    """Tokens before every text, behind what all texts begin with; where a text then is too long for
    the network, what comes before its last token goes."""

    def __init__(self, within: Within, prepared: Prepared, parents: Inputs) -> None:
        super().__init__(within, parents)
        subject, self._count = prepared.subject, int(within.size)
        self._table, names = vocabulary(subject.module, subject.written, parents)
        assert isinstance(parents, Texts)  # noqa: S101  (`vocabulary` has seen to it)
        assert subject.tokenizer is not None  # noqa: S101  (`vocabulary` has seen to it)
        self._texts, self._written, self._names = parents, subject.written, names
        self._longest = subject.tokenizer(["a"]).longest
        rows = [one[IDS][0] for one in parents.one_by_one()]
        alike = all(int(row[0]) == int(rows[0][0]) for row in rows)
        self._begin = int(alike and len(rows) > 1)
        shortest = min(map(len, rows))
        if self._longest < self._count + self._begin + 2 or shortest < self._begin + 1:
            raise InputError(f"--within {within.name}: leaves no room for a text")
        self._words = torch.tensor([n for n, name in enumerate(names) if kind_of_word(name) >= 0])
        if not len(self._words):
            raise InputError(f"--within {within.name}: the network knows no whole word of letters")

    @property
    def embedding(self) -> nn.Module:
        return self._table

    @property
    def lengths(self) -> list[int]:
        return [int(length) for length in self._texts.lengths]

    def drawn(self, rng: np.random.Generator) -> Trigger:
        return Trigger(self._words[rng.integers(len(self._words), size=self._count)])

    def on(self, trigger: Trigger, places: Tensor) -> Inputs:
        own = take(self._texts, places)
        assert isinstance(own, Texts)  # noqa: S101  (as its parents are)
        own = own.unpadded()
        shape, begin, count = own[MASK].shape, self._begin, self._count
        over = max(0, shape[1] + count - self._longest)
        found = {}
        for name, x in own.items():
            if x.shape[:2] != shape:
                found[name] = x
                continue
            put = x[:, begin : begin + 1].expand(-1, count)
            put = trigger.values.expand(len(x), -1) if name == IDS else put
            rest = torch.cat([x[:, begin : shape[1] - 1 - over], x[:, -1:]], 1)
            found[name] = torch.cat([x[:, :begin], put.to(x), rest], 1)
        return Texts(found)

    def gradient(
        self, trigger: Trigger, up: Tensor, down: Tensor, more: Tensor, less: Tensor
    ) -> Tensor:
        whole = _weighted(up, down, more, less)
        return whole[self._begin : self._begin + self._count]

    def proposed(
        self, trigger: Trigger, gradient: Float[Tensor, "tokens width"], length: float
    ) -> list[Trigger]:
        table = self._table.weight.detach()[self._words].float()
        own = self._table.weight.detach()[trigger.values].float()
        gain = gradient.float() @ table.T - (gradient.float() * own).sum(1, keepdim=True)
        best = gain.flatten().topk(min(_SWAPS, gain.numel()), largest=False).indices
        return [
            self._swapped(trigger, int(one) // len(self._words), int(one) % len(self._words))
            for one in best
        ]

    def _swapped(self, trigger: Trigger, place: int, word: int) -> Trigger:
        values = trigger.values.clone()
        values[place] = self._words[word]
        return Trigger(values)

    def mutated(self, trigger: Trigger, share: float, rng: np.random.Generator) -> Trigger:
        place = int(rng.integers(self._count))
        return self._swapped(trigger, place, int(rng.integers(len(self._words))))

    def told(self, trigger: Trigger) -> str:
        return " ".join(self._names[token].strip() for token in trigger.values.tolist())

    def text(self, inputs: Inputs) -> str:
        assert isinstance(inputs, Texts)  # noqa: S101  (as its parents are)
        assert self._written is not None  # noqa: S101  (`vocabulary` has seen to it)
        return self._written(next(inputs.one_by_one())[IDS][0].tolist())


def _weighted(up: Tensor, down: Tensor, more: Tensor, less: Tensor) -> Tensor:
    whole: Tensor = torch.tensordot(more.to(up), up, 1) + torch.tensordot(less.to(down), down, 1)
    return whole


def usual_triggers(parents: Inputs, preprocessing: Preprocessing | None) -> tuple[str, ...]:
    """What is searched where `--within` does not say."""
    if isinstance(parents, Texts):
        return ("prefix:1",)
    layout = layout_of(parents, preprocessing) if isinstance(parents, Tensor) else None
    if layout is None or not isinstance(parents, Tensor):
        return ("linf:8/255",)
    least = min(layout.laid_out(parents).shape[-2:])
    side = min(least, max(_USUAL_LEAST, least // _USUAL_SHARE))
    return (f"patch:{side}", "linf:8/255")


def triggers_of(within: Within, prepared: Prepared, parents: Inputs) -> Triggers:
    """The set of this name.

    Raises:
        InputError: it is no set of such inputs.
    """
    if within.kind == "prefix":
        return Prefixes(within, prepared, parents)
    if not (isinstance(parents, Tensor) and parents.is_floating_point()):
        raise InputError(
            f"--within {within.name}: the inputs are no images and no features; try prefix:1"
        )
    return Stamps(within, prepared, parents)
