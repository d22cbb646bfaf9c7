"""Names of runtimes, and the function that each goes to."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from bitcliff.adapters.optional import quiet
from bitcliff.adapters.runtimes.openvino import load_openvino
from bitcliff.adapters.runtimes.ort_dynamic import load_ort_dynamic
from bitcliff.adapters.runtimes.torch_dynamic import load_torch_dynamic
from bitcliff.adapters.runtimes.torchao_dynamic import load_torchao_dynamic
from bitcliff.adapters.wording import one_line
from bitcliff.errors import BitcliffError, InputError, nearest
from bitcliff.points.forward import flat_scores
from bitcliff.types.runtime import Run, Runtime
from bitcliff.types.subject import Inputs, Subject

MakeOnnx = Callable[[], bytes]
"""Writes the float network as ONNX; called only for a runtime that takes it so."""

RUNTIMES: dict[str, Callable[[Subject, MakeOnnx], Runtime]] = {
    "ort-dynamic": load_ort_dynamic,
    "torch-dynamic": load_torch_dynamic,
    "torchao-dynamic": load_torchao_dynamic,
    "openvino": load_openvino,
}


def load_runtime(name: str, subject: Subject, make_onnx: MakeOnnx) -> Runtime:
    """Hands a network to a runtime, to be quantized dynamically to int8 as its users would.

    The subject itself stays as it is.

    Args:
        name: of `RUNTIMES`. make_onnx: the same network as an ONNX file, for those that want one.

    Raises:
        InputError: no such runtime, or it cannot take this network, or finds nothing to quantize.
        MissingExtra: it is not installed.
    """
    check_runtime_name(name)
    try:
        with quiet():
            runtime = RUNTIMES[name](subject, make_onnx)
    except BitcliffError:
        raise
    except Exception as error:
        raise InputError(
            f"--runtime {name}: it cannot quantize {subject.name} ({one_line(error)})"
        ) from error
    if not runtime.quantized:
        left = ", ".join(f"{count} {kind}" for kind, count in runtime.in_float.items())
        raise InputError(
            f"--runtime {name}: it quantizes nothing of {subject.name}"
            + (f", which is made of {left}" if left else "")
            + "; give another runtime"
        )
    run, run_float = (_guarded(name, subject, one) for one in (runtime.run, runtime.run_float))
    return replace(runtime, run=run, run_float=run_float)


def check_runtime_name(name: str) -> None:
    """InputError unless there is such a runtime."""
    if name not in RUNTIMES:
        known = ", ".join(RUNTIMES)
        raise InputError(f"--runtime {name}: not known{nearest(name, RUNTIMES)}; give {known}")


def _guarded(name: str, subject: Subject, run: Run) -> Run:
    def guarded(inputs: Inputs) -> Tensor:
        try:
            with quiet():
                return flat_scores(run(inputs))
        except Exception as error:
            raise InputError(
                f"--runtime {name}: it cannot run {subject.name} ({one_line(error)})"
            ) from error

    return guarded
