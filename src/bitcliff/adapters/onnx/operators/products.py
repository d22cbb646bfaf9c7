"""Operators that multiply matrices, both operands made by the network."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    """alpha * A B + beta * C."""
    product = torch.matmul(a.t() if transA else a, b.t() if transB else b)
    product = product if alpha == 1 else alpha * product
    if c is None:
        return product
    return product + (c if beta == 1 else beta * c)


PRODUCTS: dict[str, Callable[..., Any]] = {
    "Einsum": lambda *inputs, equation: torch.einsum(equation, *inputs),
    "Gemm": gemm,
    "MatMul": torch.matmul,
}
