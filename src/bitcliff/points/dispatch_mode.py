"""Seeing every kernel without loading torch's compiler."""

import functools
import sys
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):
    """A dispatch mode that costs nothing to begin with.

    torch shields what a mode does from its compiler, and loads that for it: more than a second, at
    the first kernel of a process. Where nobody has loaded it, there is nothing to be shielded from.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        plain = cls.__torch_dispatch__
        super().__init_subclass__(**kwargs)  # type: ignore[no-untyped-call]
        shielded = cls.__torch_dispatch__

        @functools.wraps(plain)
        def dispatch(self: Any, *args: Any, **kwargs: Any) -> Any:
            chosen = shielded if "torch._dynamo" in sys.modules else plain
            return chosen(self, *args, **kwargs)  # type: ignore[no-untyped-call]

        cls.__torch_dispatch__ = dispatch  # type: ignore[method-assign]
