"""Names of runtimes, and the function that each goes to."""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from bitcliff.adapters.optional import quiet
from bitcliff.adapters.runtimes.choice import read_choice
from bitcliff.adapters.runtimes.openvino import load_openvino
from bitcliff.adapters.runtimes.ort_dynamic import NAME as ORT
from bitcliff.adapters.runtimes.ort_dynamic import load_ort_dynamic
from bitcliff.adapters.runtimes.quantized_file import PREFIX, load_file
from bitcliff.adapters.runtimes.torch_dynamic import load_torch_dynamic
from bitcliff.adapters.runtimes.torchao_dynamic import load_torchao_dynamic
from bitcliff.adapters.wording import one_line
from bitcliff.errors import BitcliffError, InputError, NothingQuantized
from bitcliff.tasks import task_of
from bitcliff.types.runtime import IntegerSums, Run, Runtime
from bitcliff.types.runtime_choice import OrtOptions, RuntimeChoice
from bitcliff.types.subject import Inputs, Subject

MakeOnnx = Callable[[], bytes]
"""Writes the float network as ONNX; called only for a runtime that takes it so."""

Load = Callable[[Subject, MakeOnnx, Collection[str]], Runtime]
"""A loader: the subject, its file, and sites of points (`Point.site`) to leave in float."""

RUNTIMES: dict[str, Load] = {
    "ort-dynamic": load_ort_dynamic,
    "torch-dynamic": load_torch_dynamic,
    "torchao-dynamic": load_torchao_dynamic,
    "openvino": load_openvino,
}


def load_runtime(
    name: str,
    subject: Subject,
    make_onnx: MakeOnnx,
    options: OrtOptions | None = None,
    in_float: Collection[str] = (),
) -> Runtime:
    """Hands a network to a runtime, to be quantized dynamically to int8 as its users would.

    The subject itself stays as it is.

    Args:
        name: of `RUNTIMES`, or "file:INT8.onnx" for a file that is quantized already.
        make_onnx: the same network as an ONNX file, for those that want one.
        options: of `ort-dynamic`; None: the library's defaults.
        in_float: sites of points (`Point.site`) to leave in float; `Runtime.kept` says which were.

    Raises:
        InputError: no such runtime, or it cannot take this network, or finds nothing to quantize.
        MissingExtra: it is not installed.
    """
    read_runtime(name)
    load: Load
    if name.startswith(PREFIX):
        load = partial(load_file, name)
    elif name == ORT and options is not None:
        load = partial(load_ort_dynamic, options=options)
    else:
        load = RUNTIMES[name]
    label = RuntimeChoice(name, options).label
    try:
        with quiet():
            runtime = load(subject, make_onnx, in_float)
    except BitcliffError:
        raise
    except Exception as error:
        raise InputError(
            f"--runtime {label}: it cannot quantize {subject.name} ({one_line(error)})"
        ) from error
    if not runtime.quantized:
        left = ", ".join(f"{count} {kind}" for kind, count in runtime.in_float.items())
        raise NothingQuantized(
            f"--runtime {label}: it quantizes nothing of {subject.name}"
            + (f", which is made of {left}" if left else "")
            + "; give another runtime"
        )
    guard = partial(_guarded, label, subject)
    sums = runtime.sums
    if sums is not None:
        opened = sums
        sums = IntegerSums(
            exact=lambda: guard(opened.exact()),
            saturating=lambda: guard(opened.saturating()),
            compared=lambda: tuple(map(guard, opened.compared())),
        )
    return replace(runtime, run=guard(runtime.run), run_float=guard(runtime.run_float), sums=sums)


def read_runtime(text: str) -> RuntimeChoice:
    """What `--runtime` says; InputError unless there is such a runtime with such options."""
    if text.startswith(PREFIX):
        if not text.lower().endswith(".onnx"):
            raise InputError(f"--runtime {text}: takes a quantized network as {PREFIX}FILE.onnx")
        return RuntimeChoice(text)
    return read_choice(text, (*RUNTIMES, f"{PREFIX}FILE.onnx"))


def _guarded(name: str, subject: Subject, run: Run) -> Run:
    def guarded(inputs: Inputs) -> Tensor:
        try:
            with quiet():
                return task_of(subject.module).scores(run(inputs), inputs)
        except Exception as error:
            raise InputError(
                f"--runtime {name}: it cannot run {subject.name} ({one_line(error)})"
                + _on_fast_path(subject)
            ) from error

    return guarded


def _on_fast_path(subject: Subject) -> str:
    """What helps where torch hands a whole layer to one kernel, which takes weights in float."""
    layers = any(isinstance(one, nn.TransformerEncoderLayer) for one in subject.module.modules())
    if not (layers and torch.backends.mha.get_fastpath_enabled()):
        return ""
    return (
        "; torch's fast path for nn.TransformerEncoderLayer takes no quantized layers: call "
        "torch.backends.mha.set_fastpath_enabled(False) where the network is made"
    )
