"""A network that is run in a format while the values at each point, and its weights, are seen."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from bitcliff.points import Attachment, Plan
from bitcliff.points.attach import Rounding
from bitcliff.points.forward import batch_size
from bitcliff.points.operations import Function, Operation
from bitcliff.points.walk import operand
from bitcliff.types.presets import Format
from bitcliff.types.subject import Inputs

OnValues = Callable[[int, Tensor, Tensor], None]
"""Shown a point's place in the plan, its values as they arrive and as the layer gets them, which is
the same tensor where they are not rounded. What it keeps it must copy: networks work in place."""
OnWeight = Callable[[str, str, Tensor], None]
"""Shown a layer's site and a role, and the weight that the layer computes with."""


class Seen(Attachment):
    """Runs a network in a format, or in float, under the same hooks, so that the two compare."""

    def __init__(
        self, module: nn.Module, plan: Plan, on_values: OnValues, on_weight: OnWeight
    ) -> None:
        super().__init__(module, plan, weight_bits=None)
        self.on_values, self.on_weight = on_values, on_weight

    def pass_in(self, inputs: Inputs, shipped: Format | None) -> Float[Tensor, "batch classes"]:
        """Scores in a format; None: in float."""
        formats = None if shipped is None else (shipped,) * len(self.plan)
        rounding = Rounding(weights=False, formats=formats, examples=batch_size(inputs))
        return self.run(inputs, rounding)

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        for role in operation.roles:
            index, value = self._index.get((site, role)), operand(operation, role, args, kwargs)
            if index is not None and value is not None and not self._quantizes(site, role):
                self.on_values(index, value, value)
        return super().on_call(site, function, operation, args, kwargs)

    def _quantize_weights(self, site: str, operation: Operation, args: Any, kwargs: Any) -> Any:
        args, kwargs = super()._quantize_weights(site, operation, args, kwargs)
        for role in self.plan.weights.get(site, ()) if site in self.plan.sites else ():
            weight = operand(operation, role, args, kwargs)
            if weight is not None and weight.is_floating_point():
                self.on_weight(site, role, weight)
        return args, kwargs

    def _activation(self, site: str, role: str, x: Tensor) -> Tensor:
        rounded = super()._activation(site, role, x)
        if self._quantizes(site, role):
            self.on_values(self._index[site, role], x, rounded)
        return rounded
