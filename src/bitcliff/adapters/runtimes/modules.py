"""Quantized copies of a module as runtimes, with what of them runs in integers."""

import copy
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.points.forward import output_of
from bitcliff.types.runtime import Runtime
from bitcliff.types.subject import Inputs, Subject


def module_runtime(
    subject: Subject,
    quantized: nn.Module,
    is_quantized: Callable[[nn.Module], bool],
    in_float: Collection[str],
    **about: Any,
) -> Runtime:
    """A quantized copy of the subject as a runtime.

    Args:
        is_quantized: picks the layers that run in integers. in_float: sites of points whose layers
            are put back as they were. about: the other fields of `Runtime`.
    """
    for name in [name for name, module in quantized.named_modules() if is_quantized(module)]:
        if any(_is_use(site, name) for site in in_float):
            quantized.set_submodule(name, copy.deepcopy(subject.module.get_submodule(name)))
    integer, rest = dict[str, str](), list[str]()
    for name, module in quantized.named_modules():
        if is_quantized(module):
            integer[name] = _kind(module)
        elif any(True for _ in module.parameters(recurse=False)):
            rest.append(_kind(module))
    return Runtime(
        run=_runner(quantized),
        run_float=_runner(subject.module),
        quantized=dict(Counter(integer.values())),
        in_float=dict(Counter(rest)),
        kinds=frozenset({"linear"} if integer else ()),
        kept=frozenset(site for site in in_float if not any(_is_use(site, n) for n in integer)),
        **about,
    )


def _is_use(site: str, name: str) -> bool:
    """Of the module of that name: its first, or as in "name@2" a later one; or one inside it, such
    as a recurrent layer's product "name.hh_l0"."""
    return f"{site}@".startswith((f"{name}@", f"{name}."))


def _kind(module: nn.Module) -> str:
    return type(module).__name__.removeprefix("NonDynamicallyQuantizable")


def _runner(module: nn.Module) -> Callable[[Inputs], Tensor]:
    def run(inputs: Inputs) -> Tensor:
        with torch.no_grad():
            return output_of(module, inputs).float()

    return run
