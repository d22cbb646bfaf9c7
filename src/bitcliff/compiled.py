"""Loops in plain Python that numba compiles, where it is installed and worth loading.

numpy's and PyTorch's operations are always there and define every bit; the loops give the same bits
in one pass over memory, so that it makes no difference which of the two ran.
"""

import importlib
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import torch

# Elements that are worked on without the loops first, in about a second: what loading them costs.
_PATIENCE = 1 << 27
# Elements from which it is worth to wake other threads.
_WORTH_THREADS = 1 << 16
_waited = 0


def loops_in(module: str, elements: int) -> "Loops | None":
    """The functions of a module, compiled; None: go on without.

    Args:
        elements: numbers that they are to work on, for a run that is short does not load them.
    """
    global _waited
    if _waited < _PATIENCE:
        _waited += elements
        return None
    return _compiled(module)


@cache
def _compiled(module: str) -> "Loops | None":
    """None without numba, or where it is switched off."""
    try:
        import numba
    except ImportError:  # also numba's own refusal of a numpy that is too new for it
        return None
    if getattr(numba.config, "DISABLE_JIT", False):
        return None
    return Loops(importlib.import_module(module), numba.njit)


class Loops:
    """The functions of a module by their names, compiled, their rows dealt out to threads."""

    def __init__(self, module: ModuleType, njit: Callable[..., Any]) -> None:
        self._module, self._njit = module, njit
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

    def whole(self, name: str, *given: Any) -> Any:
        """One of them on all there is, in one thread."""
        return self._call(name, *given)

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
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="loops")
