"""Each preset against its oracle, on all kinds of values and types."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.adapters.oracles.formulas import formula_rounds
from bitcliff.adapters.oracles.libraries import (
    Oracle,
    compressed_tensors_rounds,
    gguf_rounds,
    ml_dtypes_rounds,
    onnxruntime_rounds,
    torchao_rounds,
)
from bitcliff.adapters.oracles.values import VALUES, values_of
from bitcliff.quant.shipped import round_shipped
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import PRESETS

_ORACLES: dict[str, Callable[[str], Oracle]] = {
    "torchao": torchao_rounds,
    "compressed-tensors": compressed_tensors_rounds,
    "gguf": gguf_rounds,
    "onnxruntime": onnxruntime_rounds,
    "ml_dtypes": ml_dtypes_rounds,
    "formula": formula_rounds,
}
_HALF = (torch.float16, torch.bfloat16)
# torchao's MX and NVFP4 tensors are made of float32 and bfloat16 alone.
_NO_FLOAT16 = ("mx", "nvfp4")
_LENGTH = 256
# There the scale of the whole tensor has no inverse in float32, and torchao turns the NaN that
# comes of it into six, since e2m1 has none: nothing to be held against.
_UNDEFINED = {("nvfp4", "subnormal")}


@dataclass(frozen=True)
class Conformance:
    """One preset, or its weights' format, against its oracle.

    Attributes:
        name: of the preset; `version`: of the package that is the oracle; empty for a formula.
        values: how many were compared; mismatches: how many differ, NaN being equal to NaN and zero
            to negative zero; signs: zeros whose sign alone differs.
        worst: of the mismatches, the first: kind of values, type, value, oracle's and ours.
    """

    name: str
    oracle: str
    version: str
    values: int
    mismatches: int
    signs: int
    worst: str = ""

    @property
    def against(self) -> str:
        """The oracle with its version."""
        return f"{self.oracle} {self.version}".strip()


def check(name: str, values: int = 1_000_000, seed: int = 0) -> Iterator[Conformance]:
    """Hold a preset to its oracle on `values` values or a few more, of all kinds and types.

    Raises:
        MissingExtra: the oracle is not installed.
    """
    preset = PRESETS[name]
    version = "" if preset.oracle == "formula" else metadata.version(preset.oracle)
    parts = {name: preset.activations or preset.cache}
    if name == "torchao-8da4w":  # the one whose weights have a format of their own there
        parts[f"{name} weights"] = preset.weights
    for part, numerics in parts.items():
        if numerics is not None:
            yield _compared(part, preset.oracle, version, numerics, values, seed)


def _compared(
    name: str, oracle: str, version: str, numerics: Numerics, values: int, seed: int
) -> Conformance:
    cases = list(_cases(name, numerics))
    count, rounds = -(-values // len(cases)), _ORACLES[oracle](name)
    compared, wrong, signs, worst = 0, 0, 0, ""
    for kind, dtype, length in cases:
        x = values_of(kind, count + length, length, dtype, seed)
        expected, found = rounds(x), round_shipped(x, numerics)
        differs = (expected != found) & ~(expected.isnan() & found.isnan())
        signs += int((~differs & (expected.signbit() != found.signbit())).sum())
        compared, wrong = compared + x.numel(), wrong + int(differs.sum())
        worst = worst or _first(differs, kind, x, expected, found)
    return Conformance(name, oracle, version, compared, wrong, signs, worst)


def _cases(name: str, numerics: Numerics) -> Iterator[tuple[str, torch.dtype, int]]:
    """Kind, type and length of the rows: all that the oracle takes."""
    for kind, dtype, length in product(VALUES, (torch.float32, *_HALF), _lengths(numerics)):
        taken = dtype != torch.float16 or not name.startswith(_NO_FLOAT16)
        if taken and (name, kind) not in _UNDEFINED:
            yield kind, dtype, length


def _lengths(numerics: Numerics) -> tuple[int, ...]:
    """One that blocks divide, and an odd one where the format takes it."""
    if numerics.ragged == "refuse":
        return (_LENGTH,)
    return (_LENGTH, 32 * 3) if numerics.stored == "float16" else (_LENGTH, _LENGTH - 3)


def _first(
    differs: Tensor,
    kind: str,
    x: Float[Tensor, "rows length"],
    expected: Tensor,
    found: Tensor,
) -> str:
    places = differs.nonzero()
    if not len(places):
        return ""
    row, column = places[0].tolist()
    value, theirs, ours = (t[row, column].item() for t in (x, expected, found))
    return f"{kind}, {x.dtype}: {value!r} becomes {theirs!r} there, {ours!r} here"
