"""`torch-dynamic`: PyTorch's own `quantize_dynamic`. Deprecated in favour of torchao, still there.

It takes linear layers and recurrent ones. Its dynamic convolutions round their output to the range
of their input, are switched off by default for that, and are left out here too; see
`experiments/known_collapses.py`.
"""

import copy
from collections.abc import Callable, Collection

import torch
from torch import nn

from bitcliff.adapters.optional import require
from bitcliff.adapters.runtimes.modules import module_runtime
from bitcliff.errors import InputError
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Subject

NAME = "torch-dynamic"
_LAYERS = (nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell)


def load_torch_dynamic(
    subject: Subject, _make_onnx: Callable[[], bytes], in_float: Collection[str] = ()
) -> Runtime:
    """Weights to 8 bits, activations to 7: it leaves the highest bit free lest sums overflow.

    Args:
        in_float: sites of points (`Point.site`) whose layers stay as they are.

    Raises:
        InputError: this PyTorch has it no more, or the subject is not made of modules.
    """
    if subject.black_box:
        raise InputError(f"--runtime {NAME}: it takes modules, and {subject.name} is a black box")
    ao = require("torch.ao.quantization", "torchao", f"--runtime {NAME}")
    made = ao.quantize_dynamic(copy.deepcopy(subject.module), set(_LAYERS), dtype=torch.qint8)
    return module_runtime(
        subject,
        made,
        _is_quantized,
        in_float,
        name=NAME,
        version=f"torch {torch.__version__}",
        description=f"quantize_dynamic, engine {torch.backends.quantized.engine}: weights int8 "
        "per tensor, activations uint8 in a reduced range of 7 bits, one scale a batch",
        activation_bits=7,
    )


def _is_quantized(module: nn.Module) -> bool:
    """Its packed weights are no parameters: a layer of the same name elsewhere. What a recurrent
    layer packs its own into is no layer."""
    kind = type(module)
    return (
        kind.__module__.startswith("torch.ao.nn.quantized.dynamic")
        and kind.__name__ != "PackedParameter"
    )
