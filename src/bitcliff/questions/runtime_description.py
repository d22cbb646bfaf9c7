"""A runtime that ran the network, as every record names it."""

from typing import TYPE_CHECKING

from bitcliff.record.part import Part

if TYPE_CHECKING:
    from bitcliff.types.runtime import Runtime


class RuntimeDescription(Part):
    """Observed: a runtime that ran the network.

    Attributes:
        quantized, in_float: how many layers of each kind compute in integers, and in float.
    """

    name: str
    version: str
    description: str
    quantized: dict[str, int]
    in_float: dict[str, int]


def described(runtime: "Runtime") -> RuntimeDescription:
    """What it is, before anything is measured."""
    return RuntimeDescription(
        name=runtime.name,
        version=runtime.version,
        description=runtime.description,
        quantized=dict(runtime.quantized),
        in_float=dict(runtime.in_float),
    )
