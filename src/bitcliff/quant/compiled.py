"""Which tensors the compiled loops of rounding serve."""

from typing import Any

import torch
from torch import Tensor

from bitcliff.compiled import Loops, loops_in

# Elements of a tensor below which a call costs what the loop saves.
_LEAST = 1 << 11


def loops_for(x: Tensor) -> Loops | None:
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
    return loops_in("bitcliff.quant.loops", x.numel()) if x.numel() >= _LEAST else None


def array(x: Tensor) -> Any:
    """The tensor's memory as a numpy array without gaps; a copy where the tensor has some."""
    return (x if x.is_contiguous() else x.contiguous()).detach().numpy()
