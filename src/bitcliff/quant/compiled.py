"""The compiled loops of rounding, where they are installed and worth loading.

PyTorch's operations are always there and define every bit; the loops (`loops.py`, by numba) give
the same bits in one pass over memory, so that it makes no difference which of the two ran.
"""

import inspect
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

# Elements of a tensor below which a call costs what the loop saves.
_LEAST = 1 << 11
# Elements that PyTorch rounds first, in about a second: what loading the loops costs.
_PATIENCE = 1 << 27
_waited = 0


def loops_for(x: Tensor) -> ModuleType | None:
    """The compiled loops, if they serve `x`; None: go on in PyTorch.

    They take float32 without gaps on a processor, and no tensor that is being traced or exported.
    """
    # A fake tensor is another type; what a transform wraps is not, but has no memory of its own.
    if type(x) is not Tensor or x.dtype != torch.float32 or x.device.type != "cpu":
        return None
    if (
        x.is_neg()
        or not x.is_contiguous()
        or torch._C._functorch.is_functorch_wrapped_tensor(x)
        or torch._C._get_tracing_state() is not None
    ):
        return None
    return _worth_loading(x.numel())


def _worth_loading(elements: int) -> ModuleType | None:
    global _waited
    if elements < _LEAST:
        return None
    if _waited < _PATIENCE:
        _waited += elements
        return None
    return _compiled()


@cache
def _compiled() -> ModuleType | None:
    """`loops` with its functions compiled; None without numba, or where it is switched off."""
    try:
        import numba
    except ImportError:  # also numba's own refusal of a numpy that is too new for it
        return None
    if getattr(numba.config, "DISABLE_JIT", False):
        return None
    from bitcliff.quant import loops

    # In order, for one calls another. Tests wrap functions to check shapes: not what is compiled.
    for name, function in list(vars(loops).items()):
        if inspect.isfunction(function):
            setattr(loops, name, _jit(numba.njit, inspect.unwrap(function)))
    return loops


def _jit(njit: Any, function: Any) -> Any:
    # As numpy does it, a division by zero gives infinity or NaN and is no error.
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # no folder to keep the machine code in
        return njit(function, **options)


def array(x: Tensor) -> Any:
    """The tensor's memory as a numpy array without gaps; a copy where the tensor has some."""
    return (x if x.is_contiguous() else x.contiguous()).detach().numpy()
