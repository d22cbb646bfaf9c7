"""One batch as it is asked for and as it comes back: all that a pass needs beside the network and
its data, which whoever runs it must hold."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import safetensors.torch
from jaxtyping import Float, Int
from torch import Tensor

from bitcliff.points import Attachment
from bitcliff.points.attach import FLOAT, WEIGHTS_ONLY, Rounding, rounding_to
from bitcliff.types.presets import Format
from bitcliff.types.subject import AllInputs

Mode = Literal["float", "seen", "weights", "bits", "formats"]


@dataclass(frozen=True)
class Under:
    """What examples are run under.

    Attributes:
        mode: "float": as it came; "seen": the same, in a way that can be followed; "weights": those
            quantized alone; "bits": weights and points, by widths; "formats": the same, as runtimes
            round them.
        bits: each example's widths. active: the points to quantize, by index; None: all.
        formats: at each point; None: float.
        followable: what precedes a last softmax or sigmoid, as a search wants it.
        widths, weighed: gradients are asked for in the choice among these, of bits or formats.
        nudge: the inputs are nudged, by the noise of this number.
    """

    mode: Mode
    bits: Int[Tensor, "m points"] | None = None
    active: frozenset[int] | None = None
    formats: tuple[Format | None, ...] = ()
    followable: bool = False
    widths: Int[Tensor, " o"] | None = None
    weighed: tuple[Format, ...] = ()
    nudge: int | None = None

    @property
    def by_gradients(self) -> bool:
        """Whether gradients are asked for, and not scores."""
        return self.widths is not None or bool(self.weighed)

    def of(self, rows: Int[Tensor, " size"]) -> "Under":
        """For these rows alone."""
        return self if self.bits is None else replace(self, bits=self.bits[rows])

    def rounding(self, examples: int) -> Rounding:
        """In a pass of so many examples."""
        if self.mode == "bits":
            assert self.bits is not None  # noqa: S101  (of that mode)
            return rounding_to(self.bits, self.active)
        if self.mode == "formats":
            return Rounding(formats=self.formats, examples=examples)
        # Not `FLOAT`, under which nothing inside is seen.
        seen = Rounding(weights=False)
        return {"float": FLOAT, "seen": seen, "weights": WEIGHTS_ONLY}[self.mode]


@dataclass(frozen=True)
class Ask:
    """A batch to be run.

    Attributes:
        places: of its examples in the data, the last ones filled up. count: those that are meant.
        under: with a row of bits for each place.
    """

    places: Int[Tensor, " size"]
    count: int
    under: Under

    def to_bytes(self) -> bytes:
        """As it is sent."""
        under, tensors = self.under, {"places": self.places}
        if under.bits is not None:
            tensors["bits"] = under.bits.byte()  # numbers of options, or widths of 16 at most
        if under.widths is not None:
            tensors["widths"] = under.widths
        known = (one for one in (*under.formats, *under.weighed) if one is not None)
        distinct = list(dict.fromkeys(known))
        about = {
            "count": self.count,
            "mode": under.mode,
            "active": None if under.active is None else sorted(under.active),
            "followable": under.followable,
            "nudge": under.nudge,
            "distinct": [one.model_dump(mode="json") for one in distinct],
            "formats": [None if one is None else distinct.index(one) for one in under.formats],
            "weighed": [distinct.index(one) for one in under.weighed],
        }
        return packed(about, tensors)

    @classmethod
    def of_bytes(cls, data: bytes) -> "Ask":
        """What `to_bytes` was made of."""
        about, tensors = unpacked(data)
        distinct = [Format.model_validate(one) for one in about["distinct"]]
        bits, active = tensors.get("bits"), about["active"]
        under = Under(
            mode=about["mode"],
            bits=None if bits is None else bits.long(),
            active=None if active is None else frozenset(active),
            formats=tuple(None if at is None else distinct[at] for at in about["formats"]),
            followable=about["followable"],
            widths=tensors.get("widths"),
            weighed=tuple(distinct[number] for number in about["weighed"]),
            nudge=about["nudge"],
        )
        return cls(tensors["places"], about["count"], under)


@dataclass(frozen=True)
class Part:
    """What a batch gave, of those examples that were meant.

    Attributes:
        values: (count, classes) scores, (count, points, o) gradients, or (points, o) of formats,
            summed over the examples.
        failed: the point where a NaN or infinity showed, or None; of scores.
        shares, symbols: as in `Scores`.
        strays: calls that discovery had not seen, so far.
    """

    values: Float[Tensor, "..."]
    failed: tuple[str | None, ...] = ()
    shares: Float[Tensor, " count"] | None = None
    symbols: tuple[tuple[int, ...], ...] = ()
    strays: frozenset[str] = frozenset()

    def to_bytes(self) -> bytes:
        """As it is sent."""
        tensors = {"values": self.values.contiguous()}
        if self.shares is not None:
            tensors["shares"] = self.shares.contiguous()
        about = {"failed": self.failed, "symbols": self.symbols, "strays": sorted(self.strays)}
        return packed(about, tensors)

    @classmethod
    def of_bytes(cls, data: bytes) -> "Part":
        """What `to_bytes` was made of."""
        about, tensors = unpacked(data)
        return cls(
            tensors["values"],
            tuple(about["failed"]),
            tensors.get("shares"),
            tuple(tuple(one) for one in about["symbols"]),
            frozenset(about["strays"]),
        )


Run = Callable[[Iterable[Ask]], Iterator[Part]]
"""Runs batches, and gives what each gave in their order."""


@dataclass(frozen=True)
class Elsewhere:
    """Who else has the same network attached to the same data, and runs batches to the same bits.

    Attributes:
        attachment, inputs: what they have the like of. run: has batches run there.
    """

    attachment: Attachment = field(repr=False)
    inputs: AllInputs = field(repr=False)
    run: Run

    def serves(self, attachment: Attachment, inputs: AllInputs) -> bool:
        """Whether it is these, and not others that were put in their place for a while."""
        return attachment is self.attachment and inputs is self.inputs


def packed(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """JSON with its length in front, then safetensors."""
    head = json.dumps(about).encode()
    return len(head).to_bytes(8, "little") + head + safetensors.torch.save(dict(tensors))


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `packed` was given."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), safetensors.torch.load(data[end:])
