"""Values on which formats part: ties, subnormals, zeros, outliers, odd lengths."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Make = Callable[[int, int, torch.Generator], Tensor]
_CORNER = 3e37
"""Largest magnitude tried: a range of twice as much is finite in float32."""


def _normal(rows: int, length: int, generator: torch.Generator) -> Tensor:
    return torch.randn(rows, length, generator=generator)


def _heavy_tailed(rows: int, length: int, generator: torch.Generator) -> Tensor:
    spread = torch.exp(2 * torch.randn(rows, length, generator=generator))
    return torch.randn(rows, length, generator=generator) * spread


def _ties(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """Halves of a grid whose largest value makes the scale a whole or a power of two."""
    halves = torch.randint(-254, 255, (rows, length), generator=generator) / 2
    halves[:, 0] = torch.tensor([127.0, 127.5, 448.0, 6.0, 7.5, 28.0, 8.0]).repeat(rows)[:rows]
    return halves * torch.exp2(torch.randint(-8, 9, (rows, 1), generator=generator).float())


def _subnormal(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """About the least normal float32, some to either side."""
    magnitude = torch.exp2(torch.randint(-146, -110, (rows, 1), generator=generator).float())
    return torch.randn(rows, length, generator=generator) * magnitude


def _signed_zeros(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """Zeros of either sign, every other row with nothing else in it, in whole or in a stretch."""
    x = torch.randn(rows, length, generator=generator)
    x[torch.rand(rows, length, generator=generator) < 0.3] = 0.0
    x[::2] = 0.0
    x[1::4, : length // 2] = -0.0
    return torch.where(torch.rand(rows, length, generator=generator) < 0.5, x, -x)


def _outlier(rows: int, length: int, generator: torch.Generator) -> Tensor:
    x = torch.randn(rows, length, generator=generator)
    x[torch.arange(rows), torch.randint(0, length, (rows,), generator=generator)] *= 1e4
    return x


def _one_sided(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """Away from zero, to one side, some of them constant."""
    x = torch.rand(rows, length, generator=generator) + 1
    x[::3] = -x[::3]
    x[1::5] = 3.5
    return x


def _huge(rows: int, length: int, generator: torch.Generator) -> Tensor:
    return (torch.rand(rows, length, generator=generator) * 2 - 1) * _CORNER


VALUES: dict[str, Make] = {
    "normal": _normal,
    "heavy-tailed": _heavy_tailed,
    "ties": _ties,
    "subnormal": _subnormal,
    "zeros of either sign": _signed_zeros,
    "one outlier": _outlier,
    "one-sided": _one_sided,
    "huge": _huge,
}


def values_of(
    kind: str, count: int, length: int, dtype: torch.dtype, seed: int = 0
) -> Float[Tensor, "rows length"]:
    """About `count` values of that kind, at least one row, in `dtype`, all finite there."""
    generator = torch.Generator().manual_seed(seed)
    x = VALUES[kind](max(1, count // length), length, generator)
    most = torch.finfo(dtype).max / 4
    return x.clamp(-most, most).to(dtype)
