"""`torchao-dynamic`: torchao's int8 weights with int8 dynamic activations, as it ships them.

Linear layers alone: version 0.18 lets a convolution's weight be quantized so and then has no
convolution for it.
"""

import copy
from collections.abc import Callable, Collection

from torch import nn

from bitcliff.adapters.optional import require
from bitcliff.adapters.runtimes.modules import module_runtime
from bitcliff.errors import InputError
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Subject

NAME = "torchao-dynamic"


def load_torchao_dynamic(
    subject: Subject, _make_onnx: Callable[[], bytes], in_float: Collection[str] = ()
) -> Runtime:
    """Weights to 8 bits by output channel, activations to 8 bits, one scale a row.

    Args:
        in_float: sites of points (`Point.site`) whose layers stay as they are.

    Raises:
        InputError: the subject is not made of modules. MissingExtra: it is not installed.
    """
    if subject.black_box:
        raise InputError(f"--runtime {NAME}: it takes modules, and {subject.name} is a black box")
    torchao = require("torchao", "torchao", f"--runtime {NAME}")
    quantization = require("torchao.quantization", "torchao", f"--runtime {NAME}")
    made = copy.deepcopy(subject.module)
    # Its settings of the compiler are of the whole process, which is not ours alone.
    config = quantization.Int8DynamicActivationInt8WeightConfig(set_inductor_config=False)
    quantization.quantize_(made, config)
    return module_runtime(
        subject,
        made,
        lambda module: isinstance(module, nn.Linear) and _is_torchao(module.weight),
        in_float,
        name=NAME,
        version=f"torchao {torchao.__version__}",
        description="Int8DynamicActivationInt8WeightConfig: weights int8 per output channel, "
        "activations int8 symmetric, one scale a row of each example",
        per_channel=True,
        per_row=True,
    )


def _is_torchao(weight: object) -> bool:
    return type(weight).__module__.startswith("torchao")
