"""What each kernel reads for each of its results: rules for `owners.py`.

A rule is given one end of the owners of each tensor argument (by the argument's id; what is not
there is nobody's) and gives that end for the result: the maximum over whatever the kernel reads. A
rule that reads too much is safe; one that reads too little would not be.
"""

import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils._pytree import tree_map

Ends = Mapping[int, Tensor]
Rule = Callable[[Any, Any, Ends, torch.Size, int], Tensor | None]
"""From arguments, keywords, ends by argument, the result's shape and its number among the results
to the result's end; None: it does not know this call."""

FRESH = frozenset(
    {
        "empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like",
        "new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided", "zero_",
    }
)  # fmt: skip
"""Their results hold nothing of what they are given but its shape."""
OVERWRITES = frozenset({"copy_", "fill_", "zero_"})
"""What stood in the first argument is gone."""
READS = frozenset(
    {
        "_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique",
        "_unique2", "unique_dim", "unique_consecutive", "bincount", "repeat_interleave",
    }
)  # fmt: skip
"""By their results the network, or the size of a tensor, may take another way."""

_BY_ELEMENT = frozenset(
    {
        "hardswish", "_to_copy", "masked_fill", "copy_", "fill_", "_prelu_kernel", "lift_fresh",
        "floor_divide", "hardsigmoid", "mish", "log_sigmoid_forward", "softplus", "celu", "lerp",
        "tril", "triu", "contiguous", "alias", "detach", "to", "hardswish_", "masked_fill_",
        "floor_divide_", "native_dropout", "_unsafe_view",
    }
)  # fmt: skip
_MOVES = frozenset(
    {
        "cat", "stack", "constant_pad_nd", "repeat", "flip", "roll", "index_select", "gather",
        "index", "_unsafe_index", "clone", "im2col", "pixel_shuffle", "pixel_unshuffle",
        "channel_shuffle", "take_along_dim", "slice_scatter",
        "select_scatter", "diagonal_copy", "reflection_pad1d", "reflection_pad2d",
        "replication_pad1d", "replication_pad2d", "rot90", "diag_embed", "slice_backward",
    }
)  # fmt: skip
_REDUCES = frozenset(
    {
        "sum", "mean", "amax", "amin", "max", "min", "any", "all", "argmax", "argmin", "var", "std",
        "var_mean", "std_mean", "prod", "logsumexp", "linalg_vector_norm", "norm", "median",
        "nansum", "aminmax",
    }
)  # fmt: skip
_ALONG = frozenset(
    {
        "_softmax", "_log_softmax", "_safe_softmax", "cumsum", "cumprod", "sort", "topk", "cummax",
        "cummin", "logcumsumexp", "argsort", "kthvalue", "glu",
    }
)  # fmt: skip
_BATCH_NORMS = frozenset(
    {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"}
)
_SPATIAL = re.compile(r"(pool|upsample|unfold|grid_sampler).*?([123])d")


def rule_for(func: Any, name: str) -> Rule | None:
    """The rule of an aten kernel; None: none is known."""
    if func.namespace not in ("aten", "prims"):
        return None
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in _BATCH_NORMS:
        return _batch_norm(func)
    if name in _MOVES:
        return _moves(func)
    if name in _REDUCES:
        return _reduces(func)
    if name in _ALONG:
        return _along(func)
    if (spatial := _SPATIAL.search(name)) is not None and "backward" not in name:
        return _spatial(int(spatial[2]))
    if name in _BY_ELEMENT or torch.Tag.pointwise in func.tags:
        return _by_element
    return None


def decides_a_size(name: str, args: Any, ends: Ends) -> bool:
    """Whether a kernel chooses by ones and zeros that are not nobody's: how many it chooses, hangs
    on what the examples hold."""
    if name not in ("index", "_unsafe_index"):
        return False
    chosen = [one for one in args[1] if isinstance(one, Tensor) and one.dtype == torch.bool]
    return any(id(one) in ends and bool(ends[id(one)].any()) for one in chosen)


def argument(func: Any, name: str, args: Any, kwargs: Any) -> Any:
    """A kernel's argument by its name, its default where the call leaves it out; None: no such."""
    for place, declared in enumerate(func._schema.arguments):
        if declared.name == name:
            if place < len(args):
                return args[place]
            return kwargs.get(name, declared.default_value)
    return None


def _together(*ends: Tensor | None) -> Tensor | None:
    known = [one for one in ends if one is not None]
    return reduce(torch.maximum, known) if known else None


def _end(ends: Ends, value: Any) -> Tensor | None:
    return ends.get(id(value)) if isinstance(value, Tensor) else None


def _by_element(_args: Any, _kwargs: Any, ends: Ends, shape: torch.Size, _n: int) -> Tensor | None:
    """Each result of the values at its own place."""
    found = _together(*ends.values())
    return None if found is None else found.expand(shape)


def _moves(func: Any) -> Rule:
    """Values are moved and none is changed: what is known of them moves alike. Where to is read
    from whole numbers, which must be nobody's."""

    def rule(args: Any, kwargs: Any, ends: Ends, _shape: torch.Size, _n: int) -> Tensor | None:
        moved = [declared.name for declared in func._schema.arguments]
        moved = [name for name in moved if name not in ("index", "indices", "repeats")]
        for name in ("index", "indices", "repeats"):
            told = argument(func, name, args, kwargs)
            for one in told if isinstance(told, list | tuple) else (told,):
                end = _end(ends, one)
                if end is not None and bool(end.any()):
                    return None
        indices = {
            id(one)
            for name in ("index", "indices", "repeats")
            for told in [argument(func, name, args, kwargs)]
            for one in (told if isinstance(told, list | tuple) else (told,))
        }

        def replaced(value: Any) -> Any:
            if not isinstance(value, Tensor) or id(value) in indices:
                return value
            known = ends.get(id(value))
            return torch.zeros(value.shape) if known is None else known

        args, kwargs = tree_map(replaced, args), tree_map(replaced, kwargs)
        if func._overloadpacket.__name__ == "constant_pad_nd":
            args, kwargs = (*args[:2], 0.0), {}
        kwargs.pop("memory_format", None)
        result: Tensor = func(*args, **kwargs)
        return result

    return rule


def _reduces(func: Any) -> Rule:
    """Each result of all values along the axes that it takes together."""

    def rule(args: Any, kwargs: Any, ends: Ends, shape: torch.Size, _n: int) -> Tensor | None:
        end, dim = _end(ends, args[0]), argument(func, "dim", args, kwargs)
        if isinstance(dim, Tensor) or len(ends) > 1:
            # `max` of two tensors, as it once was called.
            return _by_element(args, kwargs, ends, shape, 0)
        if end is None:
            return None
        dims = list(range(end.ndim)) if dim is None or dim == [] else dim
        found = end.amax(dims) if end.numel() else end.new_zeros(shape)
        return found.reshape(shape)

    return rule


def _along(func: Any) -> Rule:
    """Each result of all values along one axis, which the result has too."""

    def rule(args: Any, kwargs: Any, ends: Ends, shape: torch.Size, _n: int) -> Tensor | None:
        end, dim = _end(ends, args[0]), argument(func, "dim", args, kwargs)
        if end is None or not isinstance(dim, int) or len(ends) > 1:
            return None
        whole = end.amax(dim, keepdim=True) if end.ndim else end
        if len(shape) < end.ndim:  # `kthvalue` leaves the axis out
            whole = whole.squeeze(dim)
        return whole.expand(shape)

    return rule


def _spatial(dimensions: int) -> Rule:
    """Each result of all values of its plane: more than a window holds, and never another plane."""

    def rule(args: Any, _kwargs: Any, ends: Ends, shape: torch.Size, _n: int) -> Tensor | None:
        end = _end(ends, args[0])
        if end is None or len(ends) > 1 or end.ndim != len(shape):
            return None
        return end.amax(tuple(range(-dimensions, 0)), keepdim=True).expand(shape)

    return rule


def _product(first: int) -> Rule:
    """Matrices: each result of a row of one and a column of the other."""

    def rule(args: Any, _kwargs: Any, ends: Ends, shape: torch.Size, _n: int) -> Tensor | None:
        left, right = _end(ends, args[first]), _end(ends, args[first + 1])
        added = _end(ends, args[0]) if first else None
        if left is not None:
            left = left.amax(-1, keepdim=True)
            left = left if args[first + 1].ndim > 1 else left.squeeze(-1)
        if right is not None:
            right = right.amax(-2 if right.ndim > 1 else -1, keepdim=True)
            if args[first + 1].ndim == 1:
                right = right.expand(shape)
        found = _together(left, right, added)
        return None if found is None else found.expand(shape)

    return rule


def _linear(args: Any, _kwargs: Any, ends: Ends, shape: torch.Size, _n: int) -> Tensor | None:
    end = _end(ends, args[0])
    if end is None or len(ends) > 1:
        return None
    return end.amax(-1, keepdim=True).expand(shape)


def _convolution(args: Any, _kwargs: Any, ends: Ends, shape: torch.Size, _n: int) -> Tensor | None:
    x, weight, _bias, stride, padding, dilation, transposed, _output_padding, groups = args[:9]
    end = _end(ends, x)
    if end is None or len(ends) > 1:
        return None
    if transposed:  # more than it reads, and never another example's
        return end.flatten(1).amax(1).view(-1, *[1] * (len(shape) - 1)).expand(shape)
    spatial = len(shape) - 2
    end = end.unflatten(1, (groups, -1)).amax(2)
    end = F.pad(end, [side for pad in reversed(_each(padding, spatial)) for side in (pad, pad)])
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[spatial - 1]
    end = pool(
        end,
        list(weight.shape[2:]),
        _each(stride, spatial),
        dilation=_each(dilation, spatial),
    )
    return end.repeat_interleave(shape[1] // groups, 1)


def _each(sizes: Any, count: int) -> list[int]:
    return list(sizes) * (count if len(sizes) == 1 else 1)


def _layer_norm(args: Any, _kwargs: Any, ends: Ends, shape: torch.Size, _n: int) -> Tensor | None:
    end = _end(ends, args[0])
    if end is None or len(ends) > 1:
        return None
    return end.amax(tuple(range(-len(args[1]), 0)), keepdim=True).expand(shape)


def _group_norm(args: Any, _kwargs: Any, ends: Ends, shape: torch.Size, n: int) -> Tensor | None:
    end = _end(ends, args[0])
    if end is None or len(ends) > 1:
        return None
    groups = args[6]
    whole = end.reshape(end.shape[0], groups, -1).amax(2)
    if n:  # mean and deviation
        return whole.reshape(shape)
    inner = (1,) * (len(shape) - 2)
    whole = whole.repeat_interleave(shape[1] // groups, 1)
    return whole.reshape(*whole.shape, *inner).expand(shape)


def _batch_norm(func: Any) -> Rule:
    """By the channel's own statistics over the batch, or by fixed ones."""

    def rule(args: Any, kwargs: Any, ends: Ends, shape: torch.Size, n: int) -> Tensor | None:
        end = _end(ends, args[0])
        if end is None or n or len(ends) > 1:
            return None
        fixed = func._overloadpacket.__name__.endswith("no_training")
        if fixed or argument(func, "training", args, kwargs) is False:
            return end
        every = [dim for dim in range(end.ndim) if dim != 1]
        return end.amax(every, keepdim=True).expand(shape)

    return rule


def _embedding(args: Any, _kwargs: Any, ends: Ends, shape: torch.Size, _n: int) -> Tensor | None:
    end = _end(ends, args[1])
    if end is None or len(ends) > 1:
        return None
    return end.unsqueeze(-1).expand(shape)


def _attention(args: Any, kwargs: Any, ends: Ends, shape: torch.Size, n: int) -> Tensor | None:
    if n:
        return None
    query, key, value = (_end(ends, one) for one in args[:3])
    mask = _end(ends, kwargs.get("attn_mask"))
    heads = shape[-3]
    found = _together(
        None if query is None else query.amax(-1, keepdim=True),
        *(
            None if one is None else _for_heads(one.amax((-2, -1), keepdim=True), heads)
            for one in (key, value)
        ),
        None if mask is None else mask.amax(-1, keepdim=True),
    )
    return None if found is None else found.expand(shape)


def _for_heads(end: Tensor, heads: int) -> Tensor:
    """Where several heads look at one, all look at all: more than they do."""
    return end if end.shape[-3] == heads else end.amax(-3, keepdim=True)


_BY_NAME: dict[str, Rule] = {
    **dict.fromkeys(("mm", "bmm", "mv"), _product(0)),
    **dict.fromkeys(("addmm", "baddbmm", "addmv", "_addmm_activation"), _product(1)),
    "linear": _linear,
    "convolution": _convolution,
    "native_layer_norm": _layer_norm,
    "_fused_rms_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "embedding": _embedding,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
}
