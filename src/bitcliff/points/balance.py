"""Changing both operands of a product before they are rounded, so that the product stays.

Each channel that is summed over may be divided by a number in the input and multiplied by it in
the weights (SmoothQuant, arXiv 2211.10438, equation 4), or both operands may be rotated alike
(QuaRot, arXiv 2404.00456): what lies in a few channels is then spread before it is rounded.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from scipy.linalg import hadamard
from torch import Tensor, nn

from bitcliff.points.forward import output_of, unpadded
from bitcliff.points.operations import Function, Operation, watched
from bitcliff.points.plan import Plan
from bitcliff.points.rows import summed_last
from bitcliff.points.walk import Walk, operand, with_operand
from bitcliff.types.subject import Inputs

_STRENGTH = 0.5
_LEAST = 1e-5
_SMALLEST_ROTATION = 4


@dataclass(frozen=True)
class Operands:
    """Of a product with constant weights, while batches ran.

    Attributes:
        role: of its input. peaks: (channels,) the largest magnitude in each channel summed over.
        weight_role, weight: its weights, as the call takes them.
    """

    role: str
    peaks: Float[Tensor, " channels"]
    weight_role: str
    weight: Tensor


@dataclass(frozen=True)
class Balanced:
    """What such a call is given instead: `change` of its input, channels last, and new weights."""

    role: str
    change: Callable[[Tensor], Tensor]
    weight_role: str
    weight: Tensor

    def of_call(self, operation: Operation, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The call's arguments so changed."""
        value = operand(operation, self.role, args, kwargs)
        if value is None:
            return args, kwargs
        changed = summed_last(self.change(summed_last(value, self.role)), self.role)
        args, kwargs = with_operand(operation, self.role, changed, args, kwargs)
        return with_operand(operation, self.weight_role, self.weight, args, kwargs)


def operands_of(
    model: nn.Module, plan: Plan, sites: Collection[str], batches: Iterable[Inputs]
) -> dict[str, Operands]:
    """By its call, each of these products, seen over the batches in float."""
    seen = _Seen(model, plan, sites)
    with torch.no_grad(), seen:
        for batch in batches:
            output_of(model, unpadded(batch))
    return seen.found


class _Seen(Walk):
    def __init__(self, model: nn.Module, plan: Plan, sites: Collection[str]) -> None:
        super().__init__(model, watched(plan.where))
        self.roles = {
            site: (plan.points[plan.sites[site]].role, *plan.weights[site]) for site in sites
        }
        self.found: dict[str, Operands] = {}

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        if len(roles := self.roles.get(site, ())) == 2:  # one input and one weight
            x, weight = (operand(operation, role, args, kwargs) for role in roles)
            if x is not None and weight is not None:
                self._note(site, roles, summed_last(x, roles[0]), weight)
        return function(*args, **kwargs)

    def _note(self, site: str, roles: tuple[str, ...], x: Tensor, weight: Tensor) -> None:
        peaks = x.abs().flatten(0, -2).amax(0)
        if (before := self.found.get(site)) is not None:
            peaks = torch.maximum(peaks, before.peaks)
        self.found[site] = Operands(roles[0], peaks, roles[1], weight)


def smoothed(found: Mapping[str, Operands]) -> dict[str, Balanced]:
    """Each channel's range evened out between input and weights, half of it to each."""
    return {site: _smoothed(one) for site, one in found.items()}


def _smoothed(one: Operands) -> Balanced:
    last = summed_last(one.weight, one.weight_role)
    of_weights = last.abs().flatten(0, -2).amax(0).float().clamp(min=_LEAST)
    factors = one.peaks.float().clamp(min=_LEAST) ** _STRENGTH / of_weights ** (1 - _STRENGTH)
    factors = factors.clamp(min=_LEAST)
    weight = summed_last((last.float() * factors).to(last.dtype), one.weight_role)
    return Balanced(one.role, lambda x: (x.float() / factors).to(x.dtype), one.weight_role, weight)


def rotated(found: Mapping[str, Operands]) -> dict[str, Balanced]:
    """Both operands multiplied by a Hadamard matrix, as large as divides the channels; those are
    left out that only a very small one would."""
    sizes = {site: _power_of_two(len(one.peaks)) for site, one in found.items()}
    return {
        site: _rotated(one, sizes[site])
        for site, one in found.items()
        if sizes[site] >= _SMALLEST_ROTATION
    }


def _rotated(one: Operands, size: int) -> Balanced:
    # Kronecker product with the identity: along each stretch of `size` channels by itself.
    matrix = torch.from_numpy(hadamard(size) / size**0.5).float()

    def turned(x: Tensor) -> Tensor:
        found: Tensor = x.unflatten(-1, (-1, size)).float() @ matrix
        return found.flatten(-2).to(x.dtype)

    last = summed_last(one.weight, one.weight_role)
    weight = summed_last(turned(last), one.weight_role)
    return Balanced(one.role, turned, one.weight_role, weight)


def _power_of_two(count: int) -> int:
    """The largest that divides it."""
    return count & -count
