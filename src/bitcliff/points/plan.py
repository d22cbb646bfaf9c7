"""What discovery finds: the points, in the order in which the network reaches them."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from torch import Tensor

from bitcliff.points.layout import Layout
from bitcliff.points.rows import summed_last
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.runtime import Runtime

Where = Literal["inputs", "outputs"]


@dataclass(frozen=True)
class Point:
    """A tensor that a runtime would quantize.

    Attributes:
        name: the module's path, with `@2` on its second use and `:role` where the operation has
            several activations.
        kind: the operation, such as "conv2d", "linear", "matmul", "attention".
        site: the call it belongs to; role: which operand of it.
        layout: where in the tensor each example lies.
        shape: one example's values, without the batch dimension.
        macs: multiply-adds of the call, one example.
        reason: why it is left out; empty for a point that is quantized.
        cached: whether it is attention's keys or values, which a cache holds when a network goes
            on; empty for all others.
    """

    name: str
    kind: str
    site: str
    role: str
    layout: Layout
    shape: tuple[int, ...]
    macs: int
    reason: str = ""
    cached: Literal["", "key", "value"] = ""

    @property
    def quantized(self) -> bool:
        return not self.reason

    @property
    def channel_axis(self) -> int:
        """The dimension of its channels, from the end; all others are of tokens or pixels.

        Of convolutions and of images it comes first; products sum over theirs.
        """
        dimensions = len(self.shape) - (self.layout.group > 1)
        if self.kind.startswith("conv") or (self.role == "output" and dimensions == 3):
            return -dimensions
        return -2 if self.role in ("rhs", "value") and dimensions > 1 else -1

    @property
    def has_rows(self) -> bool:
        """Whether a product sums over several rows (tokens) of each example, one by one. The sums
        of a convolution run over places too, so that no scale of a place could be taken out."""
        multiplied = self.role != "output" and not self.kind.startswith("conv")
        return multiplied and math.prod(self.shape) > self.shape[self.channel_axis]


@dataclass(frozen=True)
class AtPoint:
    """What a format does at one point.

    Attributes:
        numerics: what the values are rounded to. role: the operand along whose summed axis tokens
            and blocks lie. cached: whether the values are what a cache holds.
    """

    numerics: Numerics
    role: str
    cached: bool = False

    def laid_out(self, x: Tensor, layout: Layout, batch: int) -> Tensor:
        """As it is given to `round_shipped`: a token's vector last, examples first where each has
        scales of its own."""
        if self.numerics.group not in ("example", "channel"):
            return summed_last(x, self.role)
        rows = layout.rows(x, batch)
        return summed_last(rows, self.role) if self.cached else rows


@dataclass(frozen=True)
class Missed:
    """Something a runtime would quantize, seen in the network, that is not covered, and why."""

    name: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """All that discovery saw.

    Attributes:
        seen: every point, quantized or left out, in order of execution.
        weights: for each call seen, the roles whose operand is a weight, constant over the inputs.
        missed: what is not covered; empty for a complete plan.
        where: which reading of "point" was taken.
        untold: what attends without showing which operands are keys and values: not covered by a
            format of what a cache holds.
    """

    seen: tuple[Point, ...]
    weights: dict[str, tuple[str, ...]]
    missed: tuple[Missed, ...]
    where: Where
    untold: tuple[Missed, ...] = ()
    points: tuple[Point, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(p for p in self.seen if p.quantized))

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def sites(self) -> dict[str, int]:
        """By the call, the last of its points, by index."""
        return {point.site: index for index, point in enumerate(self.points)}

    def covers(self, shipped: Format, site: str) -> bool:
        """Whether a format is one for this call: with constant weights, and not left in float."""
        of_layers = shipped.activations is not None or shipped.weights is not None
        if not of_layers or site not in self.sites or not self.weights.get(site):
            return False
        return shipped.everywhere or self.points[self.sites[site]].kind in ("linear", "matmul")

    def at(self, shipped: Format, point: Point) -> AtPoint | None:
        """What a format makes of a point's values; None: they stay in float."""
        if point.cached and shipped.cache is not None:
            # Of the keys' matrix in a product, tokens are columns; all others lie in rows.
            return AtPoint(shipped.cache, "rhs" if _in_columns(point) else "lhs", cached=True)
        if shipped.activations is not None and self.covers(shipped, point.site):
            return AtPoint(shipped.activations, point.role)
        return None

    def rounds(self, shipped: Format, point: Point) -> bool:
        """Whether a format is one for this point: for its values, or its call's weights."""
        return self.covers(shipped, point.site) or self.at(shipped, point) is not None

    def rounded_by(self, runtime: Runtime) -> list[Point]:
        """The points seen that a runtime rounds: of its kinds, with constant weights, and not left
        in float."""
        return [
            point
            for point in self.seen
            if point.kind in runtime.kinds
            and self.weights.get(point.site)
            and point.site not in runtime.kept
            # Of a recurrent node, which is kept or not as a whole, each product is a site inside.
            and point.site.rpartition(".")[0] not in runtime.kept
        ]

    def without(self, points: Collection[Point], reason: str) -> "Plan":
        """The same, these points left out."""
        left = (replace(p, reason=reason) if p in points else p for p in self.seen)
        return replace(self, seen=tuple(left))


def _in_columns(point: Point) -> bool:
    return point.cached == "key" and point.role == "rhs"
