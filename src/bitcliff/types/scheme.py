"""How a row of activations becomes a range: the presets `paper`, `onnx` and `percentile(p)`."""

import re
from dataclasses import dataclass

from bitcliff.errors import InputError

MIN_BITS, MAX_BITS = 2, 16

_PERCENTILE = re.compile(r"percentile\(\s*([0-9.eE+-]+)\s*\)")


@dataclass(frozen=True)
class Scheme:
    """A quantization preset.

    Attributes:
        kind: "paper" (minimum to maximum), "onnx" (the same, widened to hold zero, zero point
            clamped into the integer range) or "percentile".
        percentile: for "percentile", the share of a row's values kept within the range, in percent;
            what is cut off is split evenly between the two tails.
    """

    kind: str
    percentile: float = 100.0

    def __str__(self) -> str:
        return f"percentile({self.percentile:g})" if self.kind == "percentile" else self.kind

    @staticmethod
    def parse(text: "str | Scheme") -> "Scheme":
        """Read "paper", "onnx" or "percentile(99.9)"; InputError for anything else."""
        if isinstance(text, Scheme):
            return text
        if text in ("paper", "onnx"):
            return Scheme(text)
        if match := _PERCENTILE.fullmatch(text.strip()):
            return Scheme("percentile", _percentile(match[1]))
        raise InputError(
            f"--scheme {text!r} is not known: use paper, onnx or percentile(P), P in (50, 100]"
        )


def _percentile(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 50 < value <= 100:
        raise InputError(f"--scheme percentile({text}): the percentile must lie in (50, 100]")
    return value
