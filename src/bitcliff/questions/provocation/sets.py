"""Sets of inputs around each example, and how each is searched."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bitcliff.audit.prepare import Prepared
from bitcliff.errors import InputError
from bitcliff.points import take
from bitcliff.questions.corrupting import applied
from bitcliff.questions.image_scale import image_scale
from bitcliff.questions.provocation import composition, pixels, words
from bitcliff.questions.provocation.attack import Attack
from bitcliff.questions.provocation.record import EVOLUTION, GRADIENTS, RANDOM, SEARCH
from bitcliff.questions.provocation.rivals import PLAIN
from bitcliff.questions.provocation.scale import scale_of
from bitcliff.questions.provocation.waves import Waves, waves_of
from bitcliff.types.corruption import Corruption, Degree
from bitcliff.types.subject import IDS, Inputs, Texts
from bitcliff.types.within import Within, read_within


class Neighbourhood(ABC):
    """A set around each of some parents.

    Attributes:
        within: which. parents: the examples, as the network takes them.
        methods: how it is searched, the strongest first.
    """

    methods: tuple[str, ...] = (GRADIENTS, SEARCH)

    def __init__(self, within: Within, parents: Inputs) -> None:
        self.within, self.parents = within, parents

    @property
    def embedding(self) -> nn.Module | None:
        """In whose results gradients are taken; None: in the inputs."""
        return None

    @abstractmethod
    def attack(self, method: str, place: int, rng: np.random.Generator, effort: int) -> Attack:
        """One of `methods`, or `RANDOM`, on the parent at a place."""

    @abstractmethod
    def as_inputs(self, asked: Sequence[Tensor], own: Inputs) -> Inputs:
        """What attacks ask for, of these parents, as the network takes it."""

    @abstractmethod
    def distance(self, changed: Tensor, place: int) -> float:
        """From the parent, in the set's own measure."""

    def images(self, changed: Tensor, place: int) -> Tensor | None:
        """The parent and the changed one (2, channels, height, width) in [0, 1], if images."""
        return None

    def told(self, changed: Tensor, place: int, attack: Attack) -> str:
        """What was changed, in words; nothing where a picture says it."""
        return ""

    def texts(self, changed: Tensor, place: int) -> list[str]:
        """The parent and the changed one, if they are texts."""
        return []


class Pixels(Neighbourhood):
    """Balls and patches."""

    def __init__(self, within: Within, prepared: Prepared, parents: Tensor) -> None:
        super().__init__(within, parents)
        scale = scale_of(prepared.evaluator.inputs, prepared.subject.preprocessing)
        self._images = scale.to_images(parents)
        self._ball = pixels.ball_of(within, scale, self._images)

    def attack(self, method: str, place: int, rng: np.random.Generator, effort: int) -> Attack:
        ball, parent = self._ball, self._images[place]
        if method == GRADIENTS:
            return pixels.ByGradient(ball, parent, rng, effort)
        if method == SEARCH:
            return pixels.BySquares(ball, parent, rng, effort // PLAIN)
        return pixels.AtRandom(ball, parent, rng)

    def as_inputs(self, asked: Sequence[Tensor], own: Inputs) -> Inputs:
        return self._ball.scale.to_inputs(torch.stack(list(asked)))

    def distance(self, changed: Tensor, place: int) -> float:
        return self._ball.distance(changed, self._images[place])

    def images(self, changed: Tensor, place: int) -> Tensor | None:
        if self._ball.scale.images is None:
            return None
        return torch.stack([self._images[place], changed])


class Composed(Neighbourhood):
    """Several corruptions at once."""

    methods: tuple[str, ...] = (EVOLUTION,)

    def __init__(
        self,
        within: Within,
        parents: Inputs,
        made: composition.Composition,
        optimiser: Callable[..., Any],
    ) -> None:
        super().__init__(within, parents)
        self._composition, self._optimiser = made, optimiser

    def attack(self, method: str, place: int, rng: np.random.Generator, effort: int) -> Attack:
        parent = self._parent(place)
        if method == RANDOM:
            return composition.AtRandom(self._composition, parent, rng)
        steps = effort // PLAIN
        return composition.ByEvolution(self._composition, parent, rng, self._optimiser, steps)

    @abstractmethod
    def _parent(self, place: int) -> Tensor:
        """What is corrupted of it."""

    def told(self, changed: Tensor, place: int, attack: Attack) -> str:
        assert isinstance(attack, composition.AtRandom | composition.ByEvolution)  # noqa: S101
        degrees = self._composition.degrees(attack.vector)
        return ", ".join(f"{name} {degree:.1f}" for name, degree in degrees.items())


class Corruptions(Composed):
    """Of images."""

    def __init__(
        self,
        within: Within,
        prepared: Prepared,
        parents: Tensor,
        corruptions: Sequence[Corruption],
        optimiser: Callable[..., Any],
    ) -> None:
        scale = image_scale(prepared.evaluator.inputs, prepared.subject.preprocessing)

        def apply(
            value: Tensor, one: Corruption, degree: Degree, rng: np.random.Generator
        ) -> Tensor:
            return applied(value, scale, one, degree, rng)

        made = composition.Composition(corruptions, within.size, apply)
        super().__init__(within, parents, made, optimiser)
        self._scale = scale

    def _parent(self, place: int) -> Tensor:
        assert isinstance(self.parents, Tensor)  # noqa: S101  (images are tensors)
        return self.parents[place]

    def as_inputs(self, asked: Sequence[Tensor], own: Inputs) -> Inputs:
        return torch.stack(list(asked))

    def distance(self, changed: Tensor, place: int) -> float:
        both = self.images(changed, place)
        return float((both[1] - both[0]).square().mean().sqrt())

    def images(self, changed: Tensor, place: int) -> Tensor:
        return self._scale.to_images(torch.stack([self._parent(place), changed]))


class Audio(Composed):
    """Of sounds, whose samples the network takes as they are."""

    def __init__(
        self,
        within: Within,
        parents: Inputs,
        sounds: Waves,
        corruptions: Sequence[Corruption],
        optimiser: Callable[..., Any],
    ) -> None:
        made = composition.Composition(corruptions, within.size, sounds.corrupted)
        super().__init__(within, parents, made, optimiser)
        self._sounds = sounds

    def _parent(self, place: int) -> Tensor:
        return self._sounds.of(take(self.parents, torch.tensor([place])))[0]

    def as_inputs(self, asked: Sequence[Tensor], own: Inputs) -> Inputs:
        return self._sounds.put(asked, own)

    def distance(self, changed: Tensor, place: int) -> float:
        parent = self._parent(place)
        return float((changed - parent).norm() / parent.norm().clamp(min=1e-12))


class SwappedWords(Neighbourhood):
    """Words for others."""

    def __init__(self, within: Within, prepared: Prepared, parents: Inputs) -> None:
        super().__init__(within, parents)
        subject = prepared.subject
        self._words = words.words_of(int(within.size), subject.module, subject.written, parents)
        assert isinstance(parents, Texts)  # noqa: S101  (`words_of` has seen to it)
        self._ids, self._masks = parents[IDS], words.masks(parents)
        self._written = subject.written

    @property
    def embedding(self) -> nn.Module:
        return self._words.embedding

    def attack(self, method: str, place: int, rng: np.random.Generator, effort: int) -> Attack:
        text = self._words, self._ids[place], self._masks[place], rng
        if method == GRADIENTS:
            return words.ByGradient(*text)
        if method == SEARCH:
            return words.BySwaps(*text, effort // PLAIN)
        return words.AtRandom(*text)

    def as_inputs(self, asked: Sequence[Tensor], own: Inputs) -> Inputs:
        assert isinstance(own, Texts)  # noqa: S101  (as its parents are)
        return words.as_inputs(asked, own)

    def distance(self, changed: Tensor, place: int) -> float:
        return float((changed != self._ids[place]).sum())

    def told(self, changed: Tensor, place: int, attack: Attack) -> str:
        names, before = self._words.names, self._ids[place].tolist()
        pairs = zip(before, changed.tolist(), strict=True)
        swaps = [(names[old].strip(), names[new].strip()) for old, new in pairs if old != new]
        return ", ".join(f"{old} → {new}" for old, new in swaps)

    def texts(self, changed: Tensor, place: int) -> list[str]:
        assert self._written is not None  # noqa: S101  (`words_of` has seen to it)
        kept = self._masks[place]
        return [self._written(ids[kept].tolist()) for ids in (self._ids[place], changed)]


def usual_sets(parents: Inputs, images: bool, hears: bool) -> tuple[str, ...]:
    """What is searched where `--within` does not say."""
    if hears:
        return ("audio:3",)
    if isinstance(parents, Texts):
        return ("text:2",)
    return ("linf:8/255", "corruption:3") if images else ("linf:8/255",)


def neighbourhood(
    name: str,
    prepared: Prepared,
    parents: Inputs,
    corruptions: Callable[[int | None], Sequence[Corruption]],
    optimiser: Callable[[], Callable[..., Any]],
) -> Neighbourhood:
    """The set of this name.

    Args:
        corruptions: of sounds at so many samples a second; None: of images. optimiser: likewise
            asked for where a set needs it; both may raise InputError.

    Raises:
        InputError: it is no set of such inputs.
    """
    within = read_within(name)
    if within.kind == "text":
        return SwappedWords(within, prepared, parents)
    if within.kind == "audio":
        sounds = waves_of(within, parents, prepared.subject.hearing)
        return Audio(within, parents, sounds, corruptions(sounds.rate), optimiser())
    if not (isinstance(parents, Tensor) and parents.is_floating_point()):
        raise InputError(
            f"--within {name}: the inputs are no images and no features; try text:2 or audio:3"
        )
    if within.kind == "corruption":
        return Corruptions(within, prepared, parents, corruptions(None), optimiser())
    return Pixels(within, prepared, parents)
