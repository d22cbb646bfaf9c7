"""Operators that make, ask for or change shapes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from bitcliff.adapters.onnx.operators.sizes import Sizes, are_sizes, as_sizes, number
from bitcliff.adapters.onnx.tensors import torch_type
from bitcliff.errors import InputError


def constant(**given: Any) -> Tensor:
    """The one attribute that is there: a tensor, a number or a list of numbers."""
    ((name, value),) = given.items()
    if name not in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        raise InputError(f"{name} is not supported")
    if name == "value":
        return value  # type: ignore[no-any-return]
    return torch.tensor(value, dtype=torch.float32 if "float" in name else torch.int64)


def constant_of_shape(shape: Tensor | Sizes, *, value: Tensor | None = None) -> Tensor | Sizes:
    """One value everywhere."""
    fill = torch.zeros(1) if value is None else value
    sizes = shape.tolist()
    if are_sizes(shape) and len(sizes) == 1 and type(sizes[0]) is int and fill.dtype == torch.int64:
        return as_sizes([int(number(fill))] * sizes[0])  # itself a shape, or part of one
    return torch.full(tuple(sizes), number(fill), dtype=fill.dtype)


def shape_of(x: Tensor | Sizes, *, start: int = 0, end: int | None = None) -> Tensor | Sizes:
    """All sizes, or a part of them."""
    return as_sizes(list(x.shape)[start:end])


def reshape(x: Tensor, shape: Tensor | Sizes, *, allowzero: int = 0) -> Tensor:
    """Zero keeps an axis as it is, unless `allowzero`."""
    sizes = shape.tolist()
    if not allowzero:
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """Into two axes, the second one from `axis` on."""
    first = axis % x.ndim if axis < 0 else axis
    rows = 1
    for size in x.shape[:first]:
        rows *= size
    return x.reshape(rows, x.numel() // rows if rows else 0)


def squeeze(x: Tensor, given: Tensor | None = None, *, axes: Sequence[int] = ()) -> Tensor:
    """The named axes must have size one; none named: all of size one go."""
    chosen = tuple(given.tolist() if given is not None else axes)
    if any(x.shape[axis] != 1 for axis in chosen):
        raise InputError(f"axes {chosen} of shape {tuple(x.shape)} are not all of size 1")
    return x.squeeze(chosen) if chosen else x.squeeze()


def unsqueeze(x: Tensor, given: Tensor | None = None, *, axes: Sequence[int] = ()) -> Tensor:
    """The axes are counted in the result."""
    chosen = given.tolist() if given is not None else list(axes)
    for axis in sorted(axis % (x.ndim + len(chosen)) for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def expand(x: Tensor, shape: Tensor | Sizes) -> Tensor:
    """Broadcasts both ways."""
    return x.expand(torch.broadcast_shapes(x.shape, tuple(shape.tolist())))


def transpose(x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    """Reverses the axes where no order is given."""
    return x.permute(tuple(range(x.ndim))[::-1] if perm is None else tuple(perm))


def split(
    x: Tensor,
    given: Tensor | Sizes | None = None,
    *,
    axis: int = 0,
    split: Sequence[int] = (),
    num_outputs: int = 0,
    outputs: int,
) -> tuple[Tensor, ...]:
    """By sizes, or into equal parts, the last of which may be smaller."""
    sizes = given.tolist() if given is not None else list(split)
    if not sizes:
        whole, number = x.shape[axis], num_outputs or outputs
        each = -(-whole // number)
        sizes = [max(min(each, whole - each * part), 0) for part in range(number)]
    parts: tuple[Tensor, ...] = x.split(sizes, axis)
    return parts


def pad(
    x: Tensor,
    given: Tensor | Sizes | None = None,
    value: Tensor | None = None,
    axes: Tensor | None = None,
    *,
    mode: str = "constant",
    pads: Sequence[int] = (),
) -> Tensor:
    """Negative sizes cut."""
    sizes = given.tolist() if given is not None else list(pads)
    chosen = [a % x.ndim for a in axes.tolist()] if axes is not None else list(range(x.ndim))
    pairs = zip(chosen, sizes[: len(chosen)], sizes[len(chosen) :], strict=True)
    if mode == "constant":
        flat = [0] * (2 * x.ndim)
        for axis, before, after in pairs:
            start = 2 * (x.ndim - 1 - axis)
            flat[start : start + 2] = [before, after]
        fill = 0 if value is None else number(value)
        return torch.nn.functional.pad(x, flat, value=fill)
    for axis, before, after in pairs:
        if before == after == 0:
            continue  # no index for the batch, which is open in an export
        x = x.index_select(axis, _positions(x.shape[axis], before, after, mode))
    return x


def _positions(size: int, before: int, after: int, mode: str) -> Tensor:
    """Which entry of an axis stands where in the padded axis."""
    positions = torch.arange(-before, size + after)
    if mode == "edge" or size == 1:
        return positions.clamp(0, size - 1)
    if mode == "wrap":
        return positions % size
    if mode == "reflect":
        period = 2 * (size - 1)
        folded = positions % period
        return torch.minimum(folded, period - folded)
    raise InputError(f"it pads in mode {mode}, which is not known")


def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Channels to blocks of pixels."""
    if mode == "CRD":
        return torch.nn.functional.pixel_shuffle(x, blocksize)
    n, c, h, w = x.shape
    blocks = x.reshape(n, blocksize, blocksize, c // blocksize**2, h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(
        n, c // blocksize**2, h * blocksize, w * blocksize
    )


def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Blocks of pixels to channels."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // blocksize, blocksize, w // blocksize, blocksize)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return blocks.permute(order).reshape(n, c * blocksize**2, h // blocksize, w // blocksize)


SHAPES: dict[str, Callable[..., Any]] = {
    "Concat": lambda *inputs, axis: torch.cat(inputs, axis),
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "EyeLike": lambda x, *, dtype=None, k=0: eye_like(x, dtype, k),
    "Flatten": flatten,
    "Pad": pad,
    "Range": lambda start, limit, step: torch.arange(
        number(start), number(limit), number(step), dtype=start.dtype
    ),
    "Reshape": reshape,
    "Shape": shape_of,
    "Size": lambda x: torch.tensor(x.numel()),
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": lambda x, repeats: x.tile(tuple(repeats.tolist())),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}


def eye_like(x: Tensor, dtype: int | None, k: int) -> Tensor:
    """Ones on a diagonal of a matrix of x's shape."""
    kind = x.dtype if dtype is None else torch_type(dtype)
    rows, columns = (torch.arange(size) for size in x.shape)
    return (columns[None, :] - rows[:, None] == k).to(kind)
