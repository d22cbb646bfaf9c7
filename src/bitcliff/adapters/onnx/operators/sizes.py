"""What a graph works out from sizes while it is traced, where they may be symbols.

A tensor can hold no symbol, nor tell its values to who traces it. So `Shape` gives an array of
Python objects then, and stays one through the operators here until it is used as a shape.
"""

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from bitcliff.adapters.onnx.tensors import torch_type

Sizes = Shaped[np.ndarray, "..."]
"""Of whole numbers, some of them symbols."""


def as_sizes(sizes: Sequence[int | torch.SymInt]) -> Tensor | Sizes:
    """A tensor; an array of objects while the network is traced."""
    if torch.compiler.is_exporting():
        return np.array(sizes, dtype=object)
    return torch.tensor(sizes, dtype=torch.int64)


def number(x: Tensor | Sizes) -> Any:
    """The one number in it. Not by `item`, which a traced network cannot give."""
    value = x.tolist()
    while isinstance(value, list):
        (value,) = value
    return value


def are_sizes(value: Any) -> bool:
    """Whether it is such an array."""
    return isinstance(value, np.ndarray)


def also_on_sizes(
    operator: str, attributes: Mapping[str, Any], function: Callable[..., Any]
) -> Callable[..., Any]:
    """The operator's function, which then takes such arrays too."""
    own = _ON_SIZES.get(operator)

    def run(*inputs: Any) -> Any:
        if not any(map(are_sizes, inputs)):
            return function(*inputs)
        # While traced, only constants are plain tensors.
        if own is not None and all(type(x) in (np.ndarray, Tensor, NoneType) for x in inputs):
            arrays = [np.array(x.tolist(), object) if isinstance(x, Tensor) else x for x in inputs]
            result = own(*arrays, **attributes)
            return result if isinstance(result, Tensor) else np.array(result, dtype=object)
        if operator in _TAKE_SIZES:
            return function(*inputs)
        return function(*(_traced(x) if are_sizes(x) else x for x in inputs))

    return run


def _traced(sizes: Sizes) -> Tensor:
    values = [torch.scalar_tensor(size, dtype=torch.int64) for size in sizes.flat]
    return torch.stack(values).reshape(sizes.shape)


def _cast(x: Any, *, to: int, **_: Any) -> Any:
    kind = torch_type(to)
    return torch.tensor(x.tolist(), dtype=kind) if kind.is_floating_point else x


def _slice(x: Any, first: Any, last: Any, along: Any = None, by: Any = None) -> Any:
    (start,), (stop,), (step,) = (given.tolist() for given in (first, last, by or np.ones(1, int)))
    return x[start:stop:step]


def _axes(given: Any, axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(axes if given is None else given.tolist())


# Their functions read sizes as numbers, not as tensors.
_TAKE_SIZES = ("ConstantOfShape", "Expand", "Pad", "Range", "Reshape", "Slice", "Split", "Tile")

_ON_SIZES: Mapping[str, Callable[..., Any]] = {
    "Add": lambda x, y: x + y,
    "Cast": _cast,
    "Concat": lambda *inputs, axis: np.concatenate(inputs, axis),
    "Div": lambda x, y: x // y,
    "Equal": lambda x, y: x == y,
    "Gather": lambda x, indices, axis=0: np.take(x, indices.astype(int), axis),
    "Identity": lambda x: x,
    "Max": lambda x, y: np.maximum(x, y),
    "Mod": lambda x, y, **_: x % y,
    "Mul": lambda x, y: x * y,
    "Reshape": lambda x, shape, **_: x.reshape(shape.tolist()),
    "ReduceProd": lambda x, *_, keepdims=1: np.prod(x, keepdims=bool(keepdims)),
    "Slice": _slice,
    "Squeeze": lambda x, given=None, axes=(): np.squeeze(x, _axes(given, axes) or None),
    "Sub": lambda x, y: x - y,
    "Transpose": lambda x, *, perm=None: x.transpose(perm),
    "Unsqueeze": lambda x, given=None, axes=(): np.expand_dims(x, _axes(given, axes)),
    "Where": lambda condition, x, y: np.where(condition.astype(bool), x, y),
}
