"""Room for what a network makes of its input, checked before the memory is taken."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

from bitcliff.errors import InputError
from bitcliff.points.dispatch_mode import DispatchMode

# For one example or few: an attention over 2048 tokens with 16 heads, in float32.
LARGEST_TENSOR = 256 * 2**20
LARGEST_HELD = 768 * 2**20


class SizeGuard(DispatchMode):
    """Refuses any call whose result would be too large, by asking first how large it would be.

    A few bytes of a file can name a tensor of terabytes.
    """

    def __init__(self, most: int = LARGEST_TENSOR) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = most

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func.is_view:  # costs nothing itself, but what reads an expanded one may never end
            seen = func(*args, **kwargs)
            self._check(seen)
            return seen
        if func is torch.ops.aten.nonzero.default:  # its result depends on values: at most all
            check_bytes(8 * given[0].ndim * given[0].numel(), self.most)
        self._check(_shaped(func, args, kwargs, made_of_nothing=not given))
        return func(*args, **kwargs)

    def _check(self, results: Any) -> None:
        for result in tree_leaves(results):
            if isinstance(result, Tensor):
                check_bytes(result.numel() * result.element_size(), self.most)


def _shaped(func: Any, args: tuple[Any, ...], kwargs: Any, made_of_nothing: bool) -> Any:
    """The results without their values; nothing where a call cannot be asked."""
    args, kwargs = tree_map_only(Tensor, lambda x: x.to("meta"), (args, kwargs))
    if made_of_nothing:
        kwargs = {**kwargs, "device": torch.device("meta")}
    try:
        with _disable_current_modes():  # whoever counts calls outside must not count these
            return func(*args, **kwargs)
    except (RuntimeError, NotImplementedError, TypeError):
        return ()  # what is wrong with the call itself goes wrong again


def check_bytes(size: int, most: int = LARGEST_TENSOR) -> None:
    """InputError if tensors of so many bytes are more than a network may make at once."""
    if size > most:
        raise InputError(
            f"would make {size / 2**20:.0f} MiB of a few examples, and {most // 2**20} is the limit"
        )
