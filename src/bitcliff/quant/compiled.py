"""Which tensors the compiled loops of rounding serve."""

from typing import Any

import torch
from torch import Tensor

from bitcliff.compiled import Loops, loops_in

# Elements that are rounded in the time which the many operations of PyTorch take to begin.
_A_CALL = 1 << 14


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
    return loops_in("bitcliff.quant.loops", x.numel() + _A_CALL) if x.numel() else None


def array(x: Tensor) -> Any:
    """The tensor's memory as a numpy array without gaps; a copy where the tensor has some."""
    return (x if x.is_contiguous() else x.contiguous()).detach().numpy()
