"""Where in a network's inputs its sounds lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.corruption import Corruption, Degree
from bitcliff.types.subject import MASK, Hearing, Inputs, Texts
from bitcliff.types.within import Within

_SHORTEST = 0.02  # seconds: of less no room and no line can be told
_MOST_CHANNELS = 2


@dataclass(frozen=True)
class Waves:
    """Sounds among the inputs: (n, samples) or (n, channels, samples), padded or not.

    Attributes:
        name: of that tensor; empty where there is but one. rate: samples a second. full: the
            largest magnitude that a sample can have. hearing: what makes inputs of samples, and has
            to do so again, since it may bring all to one loudness.
    """

    name: str
    rate: int
    full: float
    hearing: Hearing | None

    def of(self, inputs: Inputs) -> list[Tensor]:
        """Each example's, without padding."""
        waves = self._waves(inputs)
        return [waves[row][..., kept] for row, kept in enumerate(_kept(inputs))]

    def put(self, changed: Sequence[Tensor], own: Inputs) -> Inputs:
        """The same inputs with other sounds, each as long as its own was."""
        waves = self._waves(own).clone()
        for row, (one, kept) in enumerate(zip(changed, _kept(own), strict=True)):
            waves[row][..., kept] = one
        if isinstance(own, Tensor):
            return waves
        given = {**own, self.name: waves}
        return type(own)(given) if isinstance(own, Texts) else given

    def corrupted(
        self, wave: Tensor, corruption: Corruption, degree: Degree, rng: np.random.Generator
    ) -> Tensor:
        """One sound, as the network would be given it."""
        changed = corruption.apply(wave, degree, rng).clamp(-self.full, self.full)
        if self.hearing is None:
            return changed
        return self.hearing.features(changed.numpy())[self.name][0].to(wave.dtype)

    def _waves(self, inputs: Inputs) -> Tensor:
        return inputs if isinstance(inputs, Tensor) else inputs[self.name]


def waves_of(within: Within, inputs: Inputs, hearing: Hearing | None) -> Waves:
    """By the shapes; of several tensors that could be sounds, the one of most samples.

    Raises:
        InputError: none could be, or nobody says at what rate they are.
    """
    named = inputs if isinstance(inputs, Mapping) else {"": inputs}
    could = {name: x.shape[-1] for name, x in named.items() if name != MASK and _could_be(x)}
    if not could:
        shapes = ", ".join(" x ".join(map(str, x.shape[1:])) or "1" for x in named.values())
        raise InputError(
            f"--within {within.name}: the network takes no samples of sound, (samples,) or "
            f"(channels, samples), but {shapes}"
        )
    if hearing is not None and within.rate not in (None, hearing.rate):
        raise InputError(f"--within {within.name}: the model takes sounds at {hearing.rate} Hz")
    rate = within.rate if hearing is None else hearing.rate
    if rate is None:
        raise InputError(
            f"--within {within.name}: no one says at what rate arrays are; give "
            f"{within.name}@16000, or what it is in Hz"
        )
    name = max(could, key=lambda one: could[one])
    if could[name] < _SHORTEST * rate:
        raise InputError(
            f"--within {within.name}: no sound: {could[name]} samples, which at {rate} Hz are less "
            f"than {1000 * _SHORTEST:g} ms"
        )
    full = max(1.0, float(named[name].abs().max()))
    return Waves(name, rate, full, hearing)


def _could_be(x: Tensor) -> bool:
    return x.is_floating_point() and (x.ndim == 2 or (x.ndim == 3 and x.shape[1] <= _MOST_CHANNELS))


def _kept(inputs: Inputs) -> Sequence[Tensor | slice]:
    """Of each example what is no padding."""
    if isinstance(inputs, Texts):
        return list(inputs[MASK] != 0)
    n = len(inputs if isinstance(inputs, Tensor) else next(iter(inputs.values())))
    return [slice(None)] * n
