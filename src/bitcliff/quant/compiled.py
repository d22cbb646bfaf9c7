"""The compiled loops of rounding, where they are installed and worth loading.

PyTorch's operations are always there and define every bit; the loops (`loops.py`, by numba) give
the same bits in one pass over memory, so that it makes no difference which of the two ran.
"""

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Elements of a tensor below which a call costs what the loop saves.
_LEAST = 1 << 11
# Elements that PyTorch rounds first, in about a second: what loading the loops costs.
_PATIENCE = 1 << 27
# Elements from which it is worth to wake other threads.
_WORTH_THREADS = 1 << 16
_waited = 0


def loops_for(x: Tensor) -> "Loops | None":
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


def _worth_loading(elements: int) -> "Loops | None":
    global _waited
    if elements < _LEAST:
        return None
    if _waited < _PATIENCE:
        _waited += elements
        return None
    return _compiled()


@cache
def _compiled() -> "Loops | None":
    """The loops; None without numba, or where it is switched off."""
    try:
        import numba
    except ImportError:  # also numba's own refusal of a numpy that is too new for it
        return None
    return None if getattr(numba.config, "DISABLE_JIT", False) else Loops(numba.njit)


class Loops:
    """The functions of `loops` by their names, compiled, their rows dealt out to threads."""

    def __init__(self, njit: Callable[..., Any]) -> None:
        from bitcliff.quant import loops

        self._module, self._njit = loops, njit
        try:
            self._compile(kept=True)
        except RuntimeError:  # no folder to keep the machine code in
            self._compile(kept=False)

    def _compile(self, *, kept: bool) -> None:
        for name, one in list(vars(self._module).items()):  # in order, for one calls another
            plain = inspect.unwrap(getattr(one, "py_func", one))  # tests wrap, to check shapes
            if inspect.isfunction(plain):
                # As numpy does it, a division by zero gives infinity or NaN and is no error.
                made = self._njit(plain, nogil=True, error_model="numpy", cache=kept)
                setattr(self._module, name, made)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._share_out, name)

    def _share_out(self, name: str, *given: Any) -> Any:
        """By as many threads as PyTorch may use: no row depends on another."""
        rows, threads = len(given[0]), min(len(given[0]), torch.get_num_threads())
        if threads < 2 or given[0].size < _WORTH_THREADS:
            return self._call(name, *given)
        ends = [rows * one // threads for one in range(threads + 1)]
        parts = [slice(*pair) for pair in pairwise(ends)]
        own = [[x[part] if isinstance(x, np.ndarray) else x for x in given] for part in parts]
        first, *others = own
        waiting = [_pool().submit(self._call, name, *one) for one in others]
        found = [self._call(name, *first), *(one.result() for one in waiting)]
        return None if found[0] is None else sum(found)

    def _call(self, name: str, *given: Any) -> Any:
        try:
            return getattr(self._module, name)(*given)
        except Exception:  # noqa: BLE001  (whatever a full or damaged cache leads to)
            self._compile(kept=False)
            return getattr(self._module, name)(*given)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="round")


def array(x: Tensor) -> Any:
    """The tensor's memory as a numpy array without gaps; a copy where the tensor has some."""
    return (x if x.is_contiguous() else x.contiguous()).detach().numpy()
