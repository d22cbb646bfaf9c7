"""`openvino`: int8 weights by NNCF, and what OpenVINO's CPU plug-in quantizes dynamically of them.

The plug-in quantizes activations dynamically in fully connected layers alone, in groups of
`DYNAMIC_QUANTIZATION_GROUP_SIZE` values; convolutions compute in float with weights that were
rounded. Whether it did is measured: with the group size 0 it does not, and if the scores are then
the same to the bit, nothing was dynamic.
"""

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from bitcliff.adapters.optional import require
from bitcliff.errors import InputError
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Inputs, Subject

NAME = "openvino"
_LAYERS = {"FullyConnected": "MatMul", "Convolution": "Conv", "MatMul": "MatMul"}
_GROUP = "DYNAMIC_QUANTIZATION_GROUP_SIZE"


def load_openvino(
    subject: Subject, make_onnx: Callable[[], bytes], _in_float: Collection[str] = ()
) -> Runtime:
    """NNCF's default int8 weights; activations of fully connected layers int8 in groups.

    What a plan leaves in float is not left so: its layers are not told from the file's names.

    Raises:
        InputError: it quantizes nothing dynamically here. MissingExtra: it is not installed.
    """
    openvino = require("openvino", "openvino", f"--runtime {NAME}")
    nncf = require("nncf", "openvino", f"--runtime {NAME}")
    core = openvino.Core()
    given = core.read_model(make_onnx())
    plain = _compiled(core, given)
    with contextlib.redirect_stdout(io.StringIO()):  # where it draws a bar
        compressed = nncf.compress_weights(given, mode=nncf.CompressWeightsMode.INT8_ASYM)
    dynamic, static = _compiled(core, compressed), _compiled(core, compressed, group="0")
    probe = _probe(dynamic)
    quantized, in_float = _layers(dynamic)
    if torch.equal(_runner(dynamic)(probe), _runner(static)(probe)):
        raise InputError(
            f"--runtime {NAME}: nothing of {subject.name} is quantized dynamically on this "
            "processor: its fully connected layers, if any, have rounded weights alone"
        )
    return Runtime(
        name=NAME,
        version=f"openvino {openvino.__version__.split('-')[0]}, nncf {nncf.__version__}",
        description="compress_weights INT8_ASYM: weights uint8 per output channel; activations "
        f"int8 in groups of {dynamic.get_property(_GROUP)} in fully connected layers alone; "
        "convolutions compute in float with rounded weights",
        run=_runner(dynamic),
        run_float=_runner(plain),
        quantized=quantized,
        in_float=in_float,
        kinds=frozenset({"linear", "matmul"}),
        per_channel=True,
    )


def _compiled(core: Any, model: Any, group: str | None = None) -> Any:
    settings = {
        # Else it may compute in bfloat16 where the processor can.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    if group is not None:
        settings[_GROUP] = group
    return core.compile_model(model, "CPU", settings)


def _layers(compiled: Any) -> tuple[dict[str, int], dict[str, int]]:
    """What runs in integers and what in float, by the graph that is executed."""
    found: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for node in compiled.get_runtime_model().get_ops():
        info = node.get_rt_info()
        kind = _LAYERS.get(_text(info, "layerType"))
        if kind is not None:
            found[_text(info, "runtimePrecision") not in ("i8", "u8")][kind] += 1
    return dict(found[0]), dict(found[1])


def _text(info: Any, key: str) -> str:
    return str(getattr(info[key], "value", info[key])) if key in info else ""


def _probe(compiled: Any) -> dict[str, Tensor]:
    """Inputs that any network of this shape takes: noise, or for tokens ones."""
    inputs = {}
    for port in compiled.inputs:
        sizes = [d.get_length() if d.is_static else 2 for d in port.get_partial_shape()]
        noise = torch.randn(sizes, generator=torch.Generator().manual_seed(0))
        is_real = port.get_element_type().is_real()
        inputs[port.get_any_name()] = noise if is_real else torch.ones(sizes, dtype=torch.int64)
    return inputs


def _runner(compiled: Any) -> Callable[[Inputs], Tensor]:
    names = [port.get_any_name() for port in compiled.inputs]

    def run(inputs: Inputs) -> Tensor:
        if not isinstance(inputs, Mapping):
            inputs = {names[0]: inputs}
        feed = {name: inputs[name].numpy(force=True) for name in names}
        # Its result is a view of a buffer that the next call writes into.
        return torch.tensor(compiled(feed)[0]).float()

    return run
