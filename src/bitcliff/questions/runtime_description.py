"""A runtime that ran the network, as every record names it."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bitcliff.record.part import Part
from bitcliff.types.runtime_choice import OrtOptions

if TYPE_CHECKING:
    from bitcliff.types.runtime import Runtime


Step = Literal["simulation", "weights", "range", "layers", "activations", "rows", "folded"]
"""What a simulation of a runtime takes over from it, one after the other."""


class RuntimeDescription(Part):
    """Observed: a runtime that ran the network.

    Attributes:
        options: what it was told; None where it has none, or the record is an older one.
        quantized, in_float: how many layers of each kind compute in integers, and in float.
        not_applied: what of the plan it did not do, and why.
    """

    name: str
    version: str
    description: str
    quantized: dict[str, int]
    in_float: dict[str, int]
    options: OrtOptions | None = None
    not_applied: list[str] = Field(default_factory=list)


def described(runtime: "Runtime") -> RuntimeDescription:
    """What it is, before anything is measured."""
    return RuntimeDescription(
        name=runtime.name,
        version=runtime.version,
        description=runtime.description,
        quantized=dict(runtime.quantized),
        in_float=dict(runtime.in_float),
        options=runtime.options,
        not_applied=list(runtime.not_applied),
    )
