"""A number format as it is shipped: what values are rounded to, and what shares a scale.

The parts are orthogonal, so that a preset (`types/presets.py`) is a list of them and a format of
one's own is a few lines of YAML. The arithmetic is in `quant/shipped.py`; formulas and sources
stand with the presets.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bitcliff.types.value import Value

Reach = Literal["batch", "example", "token", "channel", "block"]
ScaleRule = Literal[
    "amax", "minmax", "minmax-zero", "floor", "rceil", "even", "ceil", "two-level", "one"
]
Order = Literal["divide", "reciprocal", "ratio", "inverted-ratio"]
ZeroPoint = Literal["rounded", "rounded-ratio", "unclamped", "two-ended"]
StoredAs = Literal["float32", "float16", "input", "e4m3", "e8m0"]

POWERS_OF_TWO: frozenset[str] = frozenset({"floor", "rceil", "even", "ceil"})
"""Scale rules of the MX formats: the scale is a power of two."""

_INTEGER = re.compile(r"(u?)int(\d+)")
_SCALE_BITS = {"float32": 32, "float16": 16, "input": 16, "e4m3": 8, "e8m0": 8}


@dataclass(frozen=True)
class FloatElement:
    """A small float: exponent and mantissa bits, exponent bias, largest finite value."""

    exponent: int
    mantissa: int
    bias: int
    most: float

    @property
    def largest_exponent(self) -> int:
        """Of the largest finite value: floor(log2 most)."""
        return math.frexp(self.most)[1] - 1


FLOATS = {
    "e4m3": FloatElement(4, 3, 7, 448.0),
    "e5m2": FloatElement(5, 2, 15, 57344.0),
    "e3m2": FloatElement(3, 2, 3, 28.0),
    "e2m3": FloatElement(2, 3, 1, 7.5),
    "e2m1": FloatElement(2, 1, 1, 6.0),
}
"""OCP 8-bit floating point (e4m3 without infinities, e5m2) and the MX elements."""


class Numerics(Value):
    """How a tensor is rounded.

    Raises:
        ValueError: a value is none of those below, or the parts do not fit together.
    """

    element: str
    """int2 to int16, uint2 to uint16, or a float: e4m3, e5m2, e3m2, e2m3, e2m1."""
    group: Reach
    """What shares a scale. "token": a vector along the last axis; "block": `block` entries along
    it; "channel": an index of the last axis, within an example; "example"; "batch": the whole
    tensor, whoever is in it."""
    scale: ScaleRule
    """"amax" is largest magnitude / `divisor`; "minmax" is (max - min) / (levels - 1), and
    "minmax-zero" the same of a range widened to hold zero; "floor", "rceil", "even" and "ceil" are
    the powers of two of the MX formats; "two-level" is a scale for each block in units of one for
    the whole tensor; "one" is 1."""
    block: int = Field(default=0, ge=0)
    """Entries of a block; 0 for other groups."""
    divisor: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Of "amax"."""
    floor: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Literal["least-normal"] = 0.0
    """The least that a scale may be; "least-normal": the least normal number of the tensor's
    type."""
    order: Order = "divide"
    """x / s, x * (1 / s), x * (divisor / amax), or the last with s = 1 / (divisor / amax)."""
    zero_point: ZeroPoint = "rounded"
    """Of an asymmetric format: round(least - min / s) clamped; least - round(min / s) clamped; the
    first, not clamped; or from the end with the smaller error."""
    rounding: Literal["even", "away"] = "even"
    """Of ties between integers; floats always round ties to even."""
    stored: StoredAs = "float32"
    """The type that scales are stored in; "input" is the tensor's own."""
    arithmetic: Literal["float32", "input"] = "float32"
    """Type of the operations on a float16 or bfloat16 tensor."""
    empty: Literal["zero", "nan"] = "zero"
    """What a group of zeros becomes: "nan" where the runtime divides zero by zero."""
    ragged: Literal["pad", "refuse"] = "pad"
    """An axis that blocks do not divide is filled up with zeros, or refused."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Numerics":
        if self.float_element is None and not 2 <= self.element_bits <= 16:
            raise ValueError(f"element {self.element!r} must have 2 to 16 bits")
        if (self.group == "block") != (self.block > 0):
            raise ValueError("block gives the entries of a block, where group is block")
        if self.asymmetric and self.float_element is not None:
            raise ValueError(f"{self.element} has no zero point, so scale is not {self.scale}")
        if self.scale in POWERS_OF_TWO | {"two-level"} and self.float_element is None:
            raise ValueError(f"scale {self.scale} is of floats, not of {self.element}")
        if self.scale == "two-level" and self.group != "block":
            raise ValueError("a two-level scale is of blocks")
        return self

    @property
    def float_element(self) -> FloatElement | None:
        """The float that values are rounded to; None: integers."""
        return FLOATS.get(self.element)

    @property
    def asymmetric(self) -> bool:
        """Whether the range has two ends of its own, and thus a zero point."""
        return self.scale in ("minmax", "minmax-zero")

    @property
    def levels(self) -> tuple[int, int]:
        """The least and the greatest integer."""
        match = _INTEGER.fullmatch(self.element)
        if match is None:
            known = f"int2 to int16, uint2 to uint16, {', '.join(FLOATS)}"
            raise ValueError(f"element {self.element!r} is not known: {known}")
        count = 2 ** int(match[2])
        return (0, count - 1) if match[1] else (-count // 2, count // 2 - 1)

    @property
    def element_bits(self) -> int:
        """Bits of one value."""
        if (element := self.float_element) is not None:
            return 1 + element.exponent + element.mantissa
        least, most = self.levels
        return (most - least).bit_length()

    @property
    def bits(self) -> Fraction:
        """Bits of one value with its share of a block's scale; larger groups' scales are left out.

        A group as long as a token has a scale too, but one that a matrix product does not feel.
        """
        if not self.block:
            return Fraction(self.element_bits)
        return self.element_bits + Fraction(_SCALE_BITS[self.stored], self.block)

    @property
    def isolated(self) -> bool:
        """Whether an example's result depends on that example alone, by construction."""
        return self.group != "batch" and self.scale != "two-level"

    @property
    def formula(self) -> str:
        """In one line, for a table."""
        group = f"block of {self.block}" if self.block else self.group
        return f"{self.element}, {group}: {_scale_words(self)}; {_order_words(self)}"


def _scale_words(numerics: Numerics) -> str:
    words = {
        "amax": f"s = amax/{numerics.divisor:g}",
        "minmax": "s = (max-min)/(levels-1)",
        "minmax-zero": "s = (max-min)/(levels-1), zero in the range",
        "floor": "s = 2^(floor(log2 amax) - emax)",
        "rceil": "s = 2^ceil(log2(amax/most))",
        "even": "s = 2^(floor(log2(amax rounded to the element)) - emax)",
        "ceil": "s = 2^(ceil(log2 amax) - emax)",
        "two-level": "s = g * e4m3(amax/6/g), g = amax of the tensor/2688",
        "one": "s = 1",
    }[numerics.scale]
    floor = numerics.floor if isinstance(numerics.floor, str) else f"{numerics.floor:.4g}"
    floor = f", at least {floor}" if numerics.floor else ""
    stored = "" if numerics.stored in ("float32", "e8m0") else f", stored as {numerics.stored}"
    return words + floor + stored


def _order_words(numerics: Numerics) -> str:
    words = {
        "divide": "x/s",
        "reciprocal": "x*(1/s)",
        "ratio": "x*(divisor/amax)",
        "inverted-ratio": "x*(divisor/amax), s its inverse",
    }[numerics.order]
    ties = "" if numerics.rounding == "even" else ", ties away from zero"
    return words + ties
