"""What of an example is padding, and the same example with more or less of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.streamed import Streamed
from bitcliff.types.subject import MASK, AllInputs, Inputs, Sounds

_ONE = ""
"""The name of the only tensor of a network that takes no named ones."""


@dataclass(frozen=True)
class Padding:
    """Examples that can be padded to another length.

    Attributes:
        tensors: of the network, by name. fills: those that have a length, along their last
            dimension, and what their padding holds.
        own: (n,) each example's length without padding. in_front: padding comes first.
        unit: what is counted. words: how it is padded.
    """

    tensors: Mapping[str, Tensor]
    fills: Mapping[str, float]
    own: Int[Tensor, " n"]
    in_front: bool
    unit: str
    words: str

    def to(self, length: int, index: Int[Tensor, " m"]) -> Inputs:
        """Examples, none of which is longer, padded to a length."""
        found = {name: values[index] for name, values in self.tensors.items()}
        for name, fill in self.fills.items():
            found[name] = _resized(found[name], length, fill, self.in_front)
        return found.get(_ONE, found)


def _resized(values: Tensor, length: int, fill: float, in_front: bool) -> Tensor:
    kept = min(length, values.shape[-1])
    sized = values.new_full((*values.shape[:-1], length), fill)
    place = slice(length - kept, None) if in_front else slice(kept)
    sized[..., place] = values[..., -kept:] if in_front else values[..., :kept]
    return sized


def padding_of(inputs: AllInputs) -> Padding:
    """Of texts by their mask, else by zeros behind; of sound by silence behind.

    Raises:
        InputError: inputs are neither, or what is no padding cannot be told.
    """
    if isinstance(inputs, Streamed):
        raise InputError("its inputs are images")
    if isinstance(inputs, Sounds):
        return _of_sounds(inputs)
    named = {_ONE: inputs} if isinstance(inputs, Tensor) else dict(inputs)
    texts = {name: one for name, one in named.items() if _is_text(one)}
    if texts:
        return _of_texts(named, texts)
    (name, values), *others = named.items()
    is_sound = values.ndim == 2 or (values.ndim == 3 and values.shape[1] == 1)
    if others or not is_sound or not values.is_floating_point():
        raise InputError("its inputs are neither token ids (n, tokens) nor sound (n, samples)")
    present = values.flatten(1) != 0
    words = "zeros behind the last sample that is not zero"
    return Padding(named, {name: 0.0}, _last(present), False, "samples", words)


def _of_sounds(sounds: Sounds) -> Padding:
    """By their mask, which the network is not given: with silence, as it would be in a batch."""
    given, shape = sounds.given, sounds[MASK].shape
    fills = {name: 0.0 for name, values in given.items() if values.shape == shape}
    words = "zeros behind the last sample"
    return Padding(given, fills, sounds.lengths, False, "samples", words)


def _is_text(values: Tensor) -> bool:
    return values.ndim == 2 and not values.is_floating_point()


def _of_texts(named: Mapping[str, Tensor], texts: Mapping[str, Tensor]) -> Padding:
    first = next(iter(texts.values()))
    sized = {name: one for name, one in texts.items() if one.shape == first.shape}
    mask = next((one for name, one in sized.items() if "mask" in name.lower()), None)
    if mask is None:
        present, in_front = first != 0, False
        own = _last(present)
        present = torch.arange(present.shape[1]) < own[:, None]
    else:
        present = mask != 0
        in_front = bool((present[:, -1] & ~present[:, 0]).any())
        own = present.sum(1)
        if not torch.equal(_last(present.flip(1) if in_front else present), own):
            raise InputError("its mask leaves out tokens between others")
    own = own.clamp(min=1)
    fills = {name: _fill(one, present) for name, one in sized.items()}
    told = ", ".join(f"{name or 'ids'} {fill:g}" for name, fill in fills.items())
    words = f"{told}, {'in front of' if in_front else 'behind'} the tokens"
    return Padding(named, fills, own, in_front, "tokens", words)


def _last(present: Bool[Tensor, "n length"]) -> Int[Tensor, " n"]:
    """One more than the place of the last that is there; 1 where none is."""
    places = torch.arange(1, present.shape[1] + 1)
    return (present * places).amax(1).clamp(min=1)


def _fill(values: Tensor, present: Bool[Tensor, "n length"]) -> float:
    """What the data's own padding holds most often; where there is none, zero."""
    padding = values[~present]
    return float(padding.mode().values) if len(padding) else 0.0
