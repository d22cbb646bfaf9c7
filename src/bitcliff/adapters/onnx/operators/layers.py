"""Convolutions, for weights that the network makes or that PyTorch's own layers cannot take."""

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from bitcliff.adapters.onnx.operators.windows import Window, is_even, padded
from bitcliff.errors import InputError

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

_SMOOTH = {"linear": {3: "linear", 4: "bilinear", 5: "trilinear"}, "cubic": {4: "bicubic"}}


def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] = (),
    group: int = 1,
    kernel_shape: Sequence[int] = (),
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
) -> Tensor:
    """Along one to three axes."""
    window = Window(weight.shape[2:], strides, dilations, pads, auto_pad)
    padding = window.padding(x)
    own = is_even(padding)
    return _CONV[x.ndim - 2](
        x if own else padded(x, padding),
        weight,
        bias,
        window.along(strides),
        [before for before, _ in padding] if own else 0,
        window.along(dilations),
        group,
    )


def transposed_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] = (),
    group: int = 1,
    kernel_shape: Sequence[int] = (),
    output_padding: Sequence[int] = (),
    output_shape: Sequence[int] = (),
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
) -> Tensor:
    """Without padding first; what ONNX pads is then cut off."""
    window = Window(weight.shape[2:], strides, dilations)
    whole = _CONV_TRANSPOSE[x.ndim - 2](
        x, weight, bias, window.along(strides), 0, 0, group, window.along(dilations)
    )
    axes = x.ndim - 2
    if output_shape or auto_pad.startswith("SAME"):
        sizes = list(output_shape)[-axes:] or [
            size * stride for size, stride in zip(x.shape[2:], window.along(strides), strict=True)
        ]
        padding = _padding_to(sizes, whole, auto_pad == "SAME_UPPER")
    else:
        cuts = Window(weight.shape[2:], pads=pads).padding(x)
        more = list(output_padding) or [0] * axes
        padding = [(-a, extra - b) for (a, b), extra in zip(cuts, more, strict=True)]
    return padded_with(whole, padding, bias)


def _padding_to(sizes: Sequence[int], x: Tensor, upper: bool) -> list[tuple[int, int]]:
    """What gives x these sizes along its axes after the first two; a negative padding cuts.

    Of an odd number more is cut at the end if `upper`, else at the beginning. Where x is smaller
    than is asked for, the end is filled up.
    """
    padding = []
    for have, size in zip(x.shape[2:], sizes, strict=True):
        less, more = max(have - size, 0) // 2, -(-max(have - size, 0) // 2)
        before, after = (less, more) if upper else (more, less)
        padding.append((-before, max(size - have, 0) - after))
    return padding


def padded_with(x: Tensor, padding: Sequence[tuple[int, int]], bias: Tensor | None) -> Tensor:
    """As `padded`; where nothing was added up, there is the bias alone."""
    if bias is None or not any(size > 0 for pair in padding for size in pair):
        return padded(x, padding)
    shape = [1, -1] + [1] * (x.ndim - 2)
    return padded(x - bias.reshape(shape), padding) + bias.reshape(shape)


def resize(
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    coordinate_transformation_mode: str = "half_pixel",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75,
    **rest: Any,
) -> Tensor:
    """Along the axes after the first two, in the ways that PyTorch knows."""
    by_size = sizes is not None and sizes.numel() > 0
    values = (sizes if by_size else scales).tolist()  # type: ignore[union-attr]
    if values[:2] != ([*x.shape[:2]] if by_size else [1, 1]) or len(values) != x.ndim:
        raise InputError("it resizes examples or channels")
    made = values if by_size else [a * b for a, b in zip(x.shape, values, strict=True)]
    coordinates = coordinate_transformation_mode
    if coordinates == "pytorch_half_pixel" and min(made[2:]) >= 2:  # they differ for one pixel only
        coordinates = "half_pixel"
    how = _interpolation(x.ndim, mode, coordinates, nearest_mode, cubic_coeff_a)
    # PyTorch lets the corners meet those of a whole number of pixels.
    whole = all(float(size).is_integer() for size in made)
    fits = whole or coordinates == "half_pixel" or mode == "nearest"
    unusual = sorted(name for name, value in rest.items() if value not in (0, 0.0, "stretch"))
    if how is None or not fits or unusual:
        words = ", ".join([mode, coordinates, *unusual])
        raise InputError(f"it resizes in a way that PyTorch lacks ({words})")
    size, scale = (values[2:], None) if by_size else (None, values[2:])
    return F.interpolate(x, size, scale, **how)


def _interpolation(
    ndim: int, mode: str, coordinates: str, nearest_mode: str, cubic_coeff_a: float
) -> dict[str, Any] | None:
    """PyTorch's settings for ONNX's; None where it has none that do the same."""
    if (mode, coordinates, nearest_mode) == ("nearest", "asymmetric", "floor"):
        return {"mode": "nearest"}
    smooth = _SMOOTH.get(mode, {}).get(ndim)
    if smooth is None or coordinates not in ("half_pixel", "align_corners"):
        return None
    if mode == "cubic" and cubic_coeff_a != -0.75:
        return None
    return {"mode": smooth, "align_corners": coordinates == "align_corners"}


LAYERS: dict[str, Callable[..., Any]] = {
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "Resize": resize,
}
