"""Whether a PyTorch network is a baseline: in float, which a quantized or narrower copy is not."""

from collections import Counter
from collections.abc import Iterator

import torch
from torch import nn

from bitcliff.errors import InputError

# Where modules, or the types of their weights, come from that compute or round to fewer bits.
_QUANTIZED = (
    "torch.ao.nn.quantized",
    "torch.ao.nn.intrinsic.quantized",
    "torch.ao.nn.qat",
    "torch.ao.nn.intrinsic.qat",
    "torch.ao.quantization.fake_quantize",
    "torchao",
    "bitsandbytes",
)
_NARROW = (torch.float16, torch.bfloat16)


def check_baseline(module: nn.Module) -> None:
    """Refuse a network that would pass for float and is not.

    Raises:
        InputError: it is quantized already, or its weights are float16 or bfloat16.
    """
    quantized = Counter(_quantized(module))
    if quantized:
        listed = ", ".join(f"{count} {name}" for name, count in quantized.most_common(3))
        raise InputError(
            f"already quantized: {listed}; give the network in float, as it was before"
        )
    weights = list(module.parameters())
    kinds = Counter(weight.dtype for weight in weights if weight.dtype in _NARROW)
    if kinds:
        kind, count = kinds.most_common(1)[0]
        raise InputError(
            f"weights are {str(kind).removeprefix('torch.')}: {count} of its {len(weights)} "
            "parameters; give the network in float32, such as module.float()"
        )


def _quantized(module: nn.Module) -> Iterator[str]:
    """The kinds of the outermost modules that are quantized, one for each."""
    if _is_quantized(module):
        yield type(module).__name__
    else:
        for part in module.children():
            yield from _quantized(part)


def _is_quantized(module: nn.Module) -> bool:
    own = (type(module), *map(type, module.parameters(recurse=False)))
    return any(
        f"{kind.__module__}.".startswith(f"{start}.") for kind in own for start in _QUANTIZED
    )
