"""Finding the points of a network by running it, and checking what was found.

Two passes of different batch size are compared. What grows with the batch is an activation, and the
dimension that grew is its batch axis; what stays the same to the bit is a weight. Nothing about
layouts is assumed: sequence-first tensors and windows folded into the batch are measured too.
"""

import torch
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.points.forward import batch_size, take
from bitcliff.points.plan import Missed, Plan, Point, Selection
from bitcliff.points.trace import SeenCall, Trace, check_eval, is_attention, trace
from bitcliff.types.subject import Inputs

_SMALL, _LARGE = 2, 3


def discover(model: nn.Module, inputs: Inputs, selection: Selection | None = None) -> Plan:
    """All quantization points of `model`, in order of execution.

    Args:
        model: in eval mode; left as it is.
        inputs: at least two examples that differ.
        selection: what to quantize of what is seen.

    Raises:
        InputError: training mode, too few examples, or nothing to quantize.
    """
    check_eval(model)
    if batch_size(inputs) < 2:
        raise InputError("two examples or more are needed to find the points; one was given")
    selection = selection or Selection()
    last = batch_size(inputs) - 1
    first = trace(model, take(inputs, torch.tensor([0, last])), selection.where)
    second = trace(model, take(inputs, torch.tensor([0, 0, last])), selection.where)
    plan = _Planner(selection).plan(first, second)
    if not plan.points:
        seen = f"all {len(plan.seen)} seen were left out" if plan.seen else "none was seen"
        raise InputError(f"no quantization point to work on in {type(model).__name__}: {seen}")
    return plan


class _Planner:
    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.seen: list[Point] = []
        self.weights: dict[str, tuple[str, ...]] = {}
        self.missed: list[Missed] = []

    def plan(self, first: Trace, second: Trace) -> Plan:
        self.missed += first.missed
        again = {call.site: call for call in second.calls}
        for call in first.calls:
            if call.site in again:
                self._add(call, again.pop(call.site))
            else:
                self._miss(call, "reached in one pass but not in another")
        for call in again.values():
            self._miss(call, "reached in one pass but not in another")
        return Plan(
            tuple(self.seen), self.weights, tuple(self.missed), self.selection.where
        )

    def _add(self, call: SeenCall, other: SeenCall) -> None:
        layouts: dict[str, tuple[int, int]] = {}
        constant: list[str] = []
        for role, value in call.values.items():
            layout = _layout(value, other.values[role])
            if isinstance(layout, str):
                self._miss(call, f"{role}: {layout}")
            elif layout is None:
                constant.append(role)
            else:
                layouts[role] = layout
        if constant and call.operation.channel_axes:
            roles = tuple(role for role in constant if role in call.operation.channel_axes)
            self.weights[call.site] = roles
        if call.operation.of_output != (self.selection.where == "outputs"):
            return
        macs = call.flops // 2 // _SMALL
        for role, layout in self._with_probabilities(call, layouts):
            name = call.site if len(layouts) == 1 else f"{call.site}:{role}"
            self._point(call, name, role, layout, macs)

    def _with_probabilities(
        self, call: SeenCall, layouts: dict[str, tuple[int, int]]
    ) -> list[tuple[str, tuple[int, int]]]:
        """Fused attention multiplies twice; its second product's operand is a point as well."""
        roles = list(layouts.items())
        if not is_attention(call.function) or "query" not in layouts:
            return roles
        if layouts["query"][0] >= call.values["query"].ndim - 2:
            self._miss(call, "attention over the batch's own dimension")
            return roles
        before_value = [name for name, _ in roles].index("value") if "value" in layouts else len(roles)
        roles.insert(before_value, ("probabilities", layouts["query"]))
        return roles

    def _point(
        self, call: SeenCall, name: str, role: str, layout: tuple[int, int], macs: int
    ) -> None:
        axis, group = layout
        if role == "probabilities":
            query, key = call.values["query"], call.values["key"]
            shape = [*query.shape[:-1], key.shape[-2]]
        else:
            shape = list(call.values[role].shape)
        shape[axis : axis + 1] = [] if group == 1 else [group]
        reason = self.selection.reason_to_leave_out(name, role in call.raw)
        self.seen.append(
            Point(
                name, call.operation.kind, call.site, role, axis, group, tuple(shape), macs, reason
            )
        )

    def _miss(self, call: SeenCall, reason: str) -> None:
        self.missed.append(Missed(call.site, call.operation.kind, reason))


def _layout(small: Tensor, large: Tensor) -> tuple[int, int] | None | str:
    """(batch axis, entries an example), None for a constant, or what is wrong, in words."""
    if small.shape == large.shape:
        if torch.equal(small, large):
            return None
        return "it changes with the input but does not carry the batch"
    if not small.is_floating_point():
        return f"it holds {small.dtype}, not floating numbers"
    grown = [d for d in range(small.ndim) if small.shape[d] != large.shape[d : d + 1].numel()]
    if small.ndim != large.ndim or len(grown) != 1:
        return "its batch dimension could not be told"
    axis = grown[0]
    group, rest = divmod(small.shape[axis], _SMALL)
    if rest or large.shape[axis] != _LARGE * group:
        return "its batch dimension could not be told"
    mine, same = (t.narrow(axis, 0, group).double() for t in (small, large))
    bound = 1e-3 * float(mine.abs().nan_to_num(posinf=0).max()) + 1e-6 if mine.numel() else 0.0
    if not torch.allclose(mine, same, rtol=1e-2, atol=bound, equal_nan=True):
        return "examples are interleaved, or one depends on its batch-mates"
    return axis, group
