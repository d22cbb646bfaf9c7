"""Networks that read an answer off a text, brought to one output, as `tasks/span.py` reads it."""

from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.errors import InputError


def join_ends(module: nn.Module) -> None:
    """Let a network give (batch, 2, tokens): scores of the answer's first token, and of its last.

    A hook and no module around it: layers keep their names.
    """

    def join(model: nn.Module, _args: Any, output: Any) -> Tensor:
        first, last = getattr(output, "start_logits", None), getattr(output, "end_logits", None)
        if first is None or last is None:
            raise InputError(f"{type(model).__name__} gives no start_logits and end_logits to read")
        return torch.stack([first, last], 1)

    module.register_forward_hook(join)
