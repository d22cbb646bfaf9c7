"""Which watched calls the judged output hangs on: what feeds other outputs alone is no point."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.points.forward import output_of
from bitcliff.points.operations import Function, Operation
from bitcliff.points.walk import Walk
from bitcliff.types.subject import Inputs

Table = Mapping[Function, Operation]

_LOUD = 1000.0


def _noise(values: Tensor) -> Tensor:
    generator = torch.Generator(values.device).manual_seed(0)
    return values.normal_(0, _LOUD, generator=generator)


# In place, since some calls work so and nobody looks at what they return.
_INSTEAD: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda values: values.fill_(torch.nan),
    lambda values: values.zero_(),
    _noise,
)


def sites_without_effect(model: nn.Module, inputs: Inputs, table: Table) -> set[str]:
    """The calls whose results cannot change the judged output, whatever they are.

    The gradient of one pass tells what the output hangs on. What it does not reach, as before an
    argmax or under `torch.no_grad`, is without effect only if other values in its place change
    nothing: NaN, which goes through most that comes after, and zeros and noise, since a network
    that looks at its values may take NaN for either side of a threshold.

    Args:
        inputs: a few examples, which the model is known to take. table: what is watched.
    """
    try:
        unproven = _without_gradient(model, inputs, table)
    except Exception:  # noqa: BLE001  (what a gradient cannot go through raises what it likes)
        return set()
    if not unproven:
        return unproven
    before = [buffer.clone() for buffer in model.buffers()]
    plain = _output(_Changed(model, table, (), _noise), inputs)

    def without_effect(sites: Collection[str]) -> bool:
        changed = (_Changed(model, table, sites, instead) for instead in _INSTEAD)
        try:
            return all(torch.equal(_output(one, inputs), plain) for one in changed)
        except Exception:  # noqa: BLE001  (a network that looks at its values, and finds others)
            return False
        finally:
            for buffer, value in zip(model.buffers(), before, strict=True):
                buffer.copy_(value)

    if without_effect(unproven):
        return unproven
    return {site for site in unproven if without_effect([site])}


def _without_gradient(model: nn.Module, inputs: Inputs, table: Table) -> set[str]:
    walk = _Scaled(model, table)
    with torch.enable_grad(), walk:
        output = output_of(model, inputs)
        if not output.requires_grad:
            return {*walk.factors}
        found = torch.autograd.grad(output.sum(), [*walk.factors.values()], allow_unused=True)
    return {site for site, one in zip(walk.factors, found, strict=True) if one is None}


def _output(walk: Walk, inputs: Inputs) -> Tensor:
    with torch.no_grad(), walk:
        return output_of(walk.model, inputs).clone()


class _Scaled(Walk):
    """Every result times a one of its own, which has a gradient where the output hangs on it."""

    def __init__(self, model: nn.Module, table: Table) -> None:
        super().__init__(model, table)
        self.factors: dict[str, Tensor] = {}

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        result = function(*args, **kwargs)
        self.factors[site] = result.new_ones(()).requires_grad_()
        return result * self.factors[site]


class _Changed(Walk):
    """The results of some calls hold something else instead."""

    def __init__(
        self,
        model: nn.Module,
        table: Table,
        sites: Collection[str],
        instead: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__(model, table)
        self.sites, self.instead = sites, instead

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        result = function(*args, **kwargs)
        return self.instead(result) if site in self.sites else result
