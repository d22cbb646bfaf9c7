"""What convolutions and pools share: padding before, strides and dilations along each axis."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from bitcliff.errors import InputError


@dataclass(frozen=True)
class Window:
    """Where a kernel is laid, by ONNX's attributes.

    Attributes:
        pads: the beginnings of all axes, then the ends; empty: none.
    """

    kernel: Sequence[int]
    strides: Sequence[int] = ()
    dilations: Sequence[int] = ()
    pads: Sequence[int] = ()
    auto_pad: str = "NOTSET"

    def along(self, values: Sequence[int]) -> list[int]:
        """One number an axis; 1 where nothing is given."""
        return list(values) or [1] * len(self.kernel)

    def padding(self, x: Tensor) -> list[tuple[int, int]]:
        """Before and after, along each axis of x after the first two."""
        axes = len(self.kernel)
        if self.auto_pad == "NOTSET" and self.pads:
            return list(zip(self.pads[:axes], self.pads[axes:], strict=True))
        if self.auto_pad in ("NOTSET", "VALID"):
            return [(0, 0)] * axes
        if self.auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
            raise InputError(f"auto_pad {self.auto_pad} is not known")
        return [
            self._same(size, kernel, stride, dilation)
            for size, kernel, stride, dilation in zip(
                x.shape[2:],
                self.kernel,
                self.along(self.strides),
                self.along(self.dilations),
                strict=True,
            )
        ]

    def _same(self, size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
        whole = (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1
        missing = max(whole - size, 0)
        less, more = missing // 2, missing - missing // 2
        return (less, more) if self.auto_pad == "SAME_UPPER" else (more, less)


def padded(x: Tensor, padding: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """x with so much before and after along its axes after the first two."""
    flat = [size for pair in reversed(padding) for size in pair]
    return F.pad(x, flat, value=value) if any(flat) else x


def is_even(padding: Sequence[tuple[int, int]]) -> bool:
    """Whether as much comes before as after, as PyTorch's own calls take it."""
    return all(before == after for before, after in padding)
