"""Names of runtimes, and the function that each goes to."""

from collections.abc import Callable

from bitcliff.adapters.runtimes.ort_dynamic import load_ort_dynamic
from bitcliff.errors import InputError, nearest
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Subject

MakeOnnx = Callable[[], bytes]
"""Writes the float network as ONNX; called only for a runtime that takes it so."""

RUNTIMES: dict[str, Callable[[Subject, MakeOnnx], Runtime]] = {"ort-dynamic": load_ort_dynamic}


def load_runtime(name: str, subject: Subject, make_onnx: MakeOnnx) -> Runtime:
    """Hands a network to a runtime, to be quantized dynamically to int8 as its users would.

    Args:
        name: of `RUNTIMES`. make_onnx: the same network as an ONNX file, for those that want one.

    Raises:
        InputError: no such runtime, or it cannot take this network.
        MissingExtra: it is not installed.
    """
    if name not in RUNTIMES:
        known = ", ".join(RUNTIMES)
        raise InputError(f"--runtime {name}: not known{nearest(name, RUNTIMES)}; give {known}")
    return RUNTIMES[name](subject, make_onnx)
