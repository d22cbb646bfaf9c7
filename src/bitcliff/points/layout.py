"""Where in a tensor each example lies, found by comparing passes over different batches."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bitcliff.errors import InputError


@dataclass(frozen=True)
class Layout:
    """One dimension holds the batch, alone or folded with others as (outer, batch, inner).

    Attributes:
        axis: that dimension.
        outer: entries before the batch varies, such as positions in a sequence-first tensor.
        inner: entries an example has in a row, such as the windows of an image.
    """

    axis: int
    outer: int = 1
    inner: int = 1

    @property
    def group(self) -> int:
        """How many of the dimension's entries one example owns."""
        return self.outer * self.inner

    def rows(self, x: Tensor, batch: int | torch.SymInt) -> Tensor:
        """x as (batch, outer, inner, *rest); InputError if the batch does not fit.

        Sizes may differ from those at discovery, as with another sequence length: of a group that
        is all outer or all inner entries, the batch size gives the new size.
        """
        moved = x.movedim(self.axis, 0)
        # Not divmod, which symbolic sizes lack while a network is exported.
        group, rest = moved.shape[0] // batch, moved.shape[0] % batch
        outer = group if self.inner == 1 and self.outer > 1 else self.outer
        if rest or group % outer:
            raise InputError(
                f"a tensor {tuple(x.shape)} cannot be shared out among a batch of {batch}: "
                "the network runs otherwise than when its points were found"
            )
        return moved.reshape(outer, batch, group // outer, *moved.shape[1:]).movedim(1, 0)

    def apply(
        self, x: Tensor, batch: int | torch.SymInt, function: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Apply a function of (batch, *rest) to x; the result has x's own strides."""
        if self.axis == 0 and self.group == 1:
            result = function(x)
        else:
            moved = x.movedim(self.axis, 0)
            result = function(self.rows(x, batch)).movedim(0, 1).reshape(moved.shape)
            result = result.movedim(0, self.axis)
        # A network that goes on with a view must not find another layout.
        if (
            result.stride() == x.stride()
            or torch.empty_like(x, device="meta").stride() != x.stride()
        ):
            return result
        return torch.empty_like(x).copy_(result)


def find_layout(pair: Tensor, triple: Tensor, twins: Tensor) -> Layout | str | None:
    """Where the batch lies, None for a constant, or what is wrong, in words.

    Args:
        pair, triple, twins: the tensor when the batch holds the examples (a, b), (b, b, a), (a, a).
    """
    if pair.layout != torch.strided or pair.is_quantized:
        return f"it is held as {pair.layout}, {pair.dtype}"
    if pair.shape == triple.shape == twins.shape:
        if _same(pair, triple, 0.0) and _same(pair, twins, 0.0):
            return None
        return "it changes with the input but does not carry the batch"
    if not pair.is_floating_point():
        return f"it holds {pair.dtype}, not floating numbers"
    if pair.shape != twins.shape:
        return "its shape depends on what the input holds"
    axis = _batch_axis(pair, triple)
    if axis is None:
        return "its batch dimension could not be found"
    layout = _nearest(axis, pair, triple)
    if isinstance(layout, str):
        return layout
    alone, beside = (layout.rows(x, 2)[0] for x in (pair, twins))
    # Same index in a batch of the same size, so the same kernels: equal but for the odd rounding.
    if not _same(alone, beside, 100 * torch.finfo(pair.dtype).eps):
        return "an example's values depend on its batch-mates"
    return layout


def _batch_axis(pair: Tensor, triple: Tensor) -> int | None:
    if pair.ndim != triple.ndim:
        return None
    grown = [d for d in range(pair.ndim) if pair.shape[d] != triple.shape[d]]
    if len(grown) != 1 or pair.shape[grown[0]] * 3 != triple.shape[grown[0]] * 2:
        return None
    return grown[0]


def _nearest(axis: int, pair: Tensor, triple: Tensor) -> Layout | str:
    """The way of folding the batch under which examples are themselves in both passes."""
    group = pair.shape[axis] // 2
    layouts = [Layout(axis, outer, group // outer) for outer in _divisors(group)]
    far = sorted((_distance(layout, pair, triple), layout.outer, layout) for layout in layouts)
    # Another batch size may take other kernels, whose rounding a deep network amplifies.
    loose = 1e-2 if pair.dtype in (torch.float32, torch.float64) else 1e-1
    if far[0][0] > loose * _largest(pair):
        return "its examples are mixed, or one depends on its batch-mates"
    if len(far) > 1 and far[1][0] <= 8 * far[0][0]:
        return "its examples look alike, so that it is unknown which entries are whose"
    return far[0][2]


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def _distance(layout: Layout, pair: Tensor, triple: Tensor) -> float:
    """How far any value of a or b is from itself in the other pass."""
    rows = layout.rows(pair, 2)[[1, 1, 0]].double()
    gaps = (rows - layout.rows(triple, 3).double()).abs()
    # Both infinite or both NaN is no gap; one of them only is an infinite one.
    both = ~torch.isfinite(rows) & ~torch.isfinite(layout.rows(triple, 3))
    gaps = torch.where(both, 0.0, gaps).nan_to_num(nan=torch.inf)
    return float(gaps.max()) if gaps.numel() else 0.0


def _largest(x: Tensor) -> float:
    finite = x[torch.isfinite(x)].abs()
    return float(finite.detach().max()) if finite.numel() else 0.0


def _same(x: Tensor, y: Tensor, share: float) -> bool:
    """Equal up to this share of the largest magnitude; NaN equals NaN."""
    if x.shape != y.shape:
        return False
    if not x.is_floating_point() or not x.numel():
        return torch.equal(x, y)
    bound = share * _largest(x)
    return torch.allclose(x.double(), y.double(), rtol=0, atol=bound, equal_nan=True)
