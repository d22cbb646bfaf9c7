"""Quantized copies of a module as runtimes, with what of them runs in integers."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from bitcliff.points.forward import logits_of
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Inputs, Subject

_WEIGHTED = (_ConvNd, nn.Linear, nn.Bilinear, nn.RNNBase, nn.RNNCellBase)


def module_runtime(
    subject: Subject,
    quantized: nn.Module,
    is_quantized: Callable[[nn.Module], bool],
    **about: Any,
) -> Runtime:
    """A quantized copy of the subject as a runtime.

    Args:
        is_quantized: picks the layers that run in integers. about: the other fields of `Runtime`.
    """
    kinds = Counter(_kind(m) for m in quantized.modules() if is_quantized(m))
    rest = (m for m in quantized.modules() if isinstance(m, _WEIGHTED) and not is_quantized(m))
    return Runtime(
        run=_runner(quantized),
        run_float=_runner(subject.module),
        quantized=dict(kinds),
        in_float=dict(Counter(_kind(m) for m in rest)),
        kinds=frozenset({"linear"} if kinds["Linear"] else ()),
        **about,
    )


def _kind(module: nn.Module) -> str:
    return type(module).__name__.removeprefix("NonDynamicallyQuantizable")


def _runner(module: nn.Module) -> Callable[[Inputs], Tensor]:
    def run(inputs: Inputs) -> Tensor:
        with torch.no_grad():
            return logits_of(module, inputs).float()

    return run
