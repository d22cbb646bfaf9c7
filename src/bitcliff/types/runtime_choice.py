"""Which runtime is to quantize the network, and what it is told; as the command line names it."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from bitcliff.types.value import Value

Operator = Literal[
    "Attention",
    "Conv",
    "EmbedLayerNormalization",
    "Gather",
    "Gemm",
    "LSTM",
    "MatMul",
    "Transpose",
]

QUANTIZED = frozenset(get_args(Operator)) - {"Transpose"}
"""Operators that `quantize_dynamic` turns into integer ones by default, where their weights are
constant; it takes a Transpose only between two of them."""


class OrtOptions(Value):
    """What ONNX Runtime's `quantize_dynamic` is told; every default is the library's own.

    Attributes:
        weights: their type. per_channel: they have a scale for each output channel, where the
            library knows how to (its Conv has one for the tensor all the same).
        reduce_range: they use 7 of their 8 bits.
        operators: those that are quantized; none named: all that the library can.
        default_tensor_type: of values whose type the library cannot infer; None: it then refuses.
    """

    weights: Literal["int8", "uint8"] = "int8"
    per_channel: bool = False
    reduce_range: bool = False
    operators: tuple[Operator, ...] = ()
    default_tensor_type: Literal["float", "float16", "bfloat16", "double"] | None = None

    @property
    def words(self) -> str:
        """What is told beyond the defaults, such as "weights=uint8,per_channel"; else empty."""
        told = self.model_dump(exclude_defaults=True)
        return ",".join(_word(name, value) for name, value in told.items())


def _word(name: str, value: Any) -> str:
    if value is True:
        return name
    return f"{name}={'+'.join(value) if isinstance(value, tuple) else value}"


@dataclass(frozen=True)
class RuntimeChoice:
    """A runtime by its name, and for `ort-dynamic` its options; None: the defaults."""

    name: str
    options: OrtOptions | None = None

    @property
    def label(self) -> str:
        """For people, and as it is given on the command line; nothing ever parses it again."""
        words = "" if self.options is None else self.options.words
        return f"{self.name}:{words}" if words else self.name

    @property
    def fields(self) -> dict[str, Any]:
        """As a configuration keeps it: numbers, texts and lists."""
        told = None if self.options is None else self.options.model_dump(mode="json")
        return {"name": self.name, "options": told}
