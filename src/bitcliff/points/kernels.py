"""The kernels below every torch call, watched so that no product of matrices goes unseen."""

import re
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from bitcliff.points.dispatch_mode import DispatchMode
from bitcliff.points.operations import ACTIVATIONS

# By name, so that a kernel that a later torch adds is noticed rather than passed over.
_PRODUCT = re.compile(
    r"(mm|mv|dot)(_|$)|conv(?!ert)|attention|rnn|lstm|gru_|gru$|linear|matmul|cdist|euclidean_dist"
    r"|encoder_layer"
)
_NO_PRODUCT = re.compile(r"upsample|linear_combination")
_ACTIVATION_KERNELS = {operation.kind for operation in ACTIVATIONS.values()}
_KNOWN_NAMESPACES = ("aten", "prim", "prims", "profiler")

# What torch's own counter does not know: floating-point operations of a call, two a product.
_FURTHER_FLOPS: dict[str, Callable[..., int]] = {
    "mv": lambda matrix, _vector: 2 * matrix.numel(),
    "addmv": lambda _bias, matrix, _vector, **_: 2 * matrix.numel(),
    "dot": lambda x, _y: 2 * x.numel(),
    "vdot": lambda x, _y: 2 * x.numel(),
    "addbmm": lambda _bias, x, y, **_: 2 * x.numel() * y.shape[-1],
    "_trilinear": lambda x, weight, *_: 2 * x.shape[0] * weight.numel(),
}


def _of_attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Of torch's fused attention; older versions of its counter refuse grouped queries."""
    return 2 * query[..., 0].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])


@runtime_checkable
class Witness(Protocol):
    """Hears of what the kernels do."""

    def saw_product(self, kernel: str, flops: int) -> None:
        """A product of matrices, or a convolution, with its floating-point operations."""

    def saw_activation(self, kernel: str) -> None:
        """An activation function."""

    def saw_unknown(self, kernel: str, reason: str) -> None:
        """An operator that may hide a product."""


def is_product(kernel: str) -> bool:
    """Whether an aten kernel of this name multiplies matrices, directly or within."""
    return bool(_PRODUCT.search(kernel)) and not _NO_PRODUCT.search(kernel)


class KernelWatch(DispatchMode):
    """Shows a witness the kernels that matter, whoever calls them: TorchScript too."""

    # Without it torch refuses control flow and other operators that take functions.
    supports_higher_order_operators = True

    def __init__(self, witness: Witness) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.witness = witness

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if not isinstance(func, torch._ops.OpOverload):
            self.witness.saw_unknown(func.name(), "an operator that runs functions of its own")
            return func(*args, **kwargs)
        if not any(isinstance(x, Tensor) and x.is_nested for x in tree_leaves((args, kwargs))):
            # In inference mode torch does not take composite operators apart before they get here.
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        self._tell(func, args, kwargs, result)
        return result

    def _tell(self, func: Any, args: tuple[Any, ...], kwargs: Any, result: Any) -> None:
        packet = func._overloadpacket
        name = packet.__name__.rstrip("_")
        if func.namespace not in _KNOWN_NAMESPACES:
            reason = f"operator of {func.namespace}, which Bitcliff cannot open"
            self.witness.saw_unknown(packet.__name__, reason)
        elif name.startswith("_scaled_dot_product"):
            self.witness.saw_product(name, _of_attention(*args, **kwargs))
        elif packet in flop_registry:
            self.witness.saw_product(
                name, int(flop_registry[packet](*args, **kwargs, out_val=result))
            )
        elif is_product(name):
            count = _FURTHER_FLOPS.get(name, lambda *_args, **_kwargs: 0)
            self.witness.saw_product(name, count(*args, **kwargs))
        elif name in _ACTIVATION_KERNELS:
            self.witness.saw_activation(name)
