"""Finding the points of a network by running it, and checking what was found.

Passes over different batches of two examples are compared. What grows with the batch is an
activation, and the dimension that grew is its batch axis; what stays the same to the bit is a
weight. No layout is assumed: sequence-first tensors and windows folded into the batch are measured
too.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Literal

import torch
from torch import nn

from bitcliff.errors import InputError, PlanError, nearest
from bitcliff.points.forward import batch_size, take
from bitcliff.points.layout import Layout, find_layout
from bitcliff.points.operations import watched
from bitcliff.points.plan import Missed, Plan, Point
from bitcliff.points.reach import sites_without_effect
from bitcliff.points.trace import SeenCall, Trace, check_eval, is_attention, trace
from bitcliff.types.settings import AssessSettings, Selection
from bitcliff.types.subject import AllInputs, Texts


def discover(model: nn.Module, inputs: AllInputs, selection: Selection | None = None) -> Plan:
    """All quantization points of `model`, in order of execution.

    Args:
        model: in eval mode; left as it is.
        inputs: at least two examples, not all of them the same.
        selection: what to quantize of what is seen.

    Raises:
        InputError: training mode, too few examples, a pattern that names no point, or nothing to
            quantize.
    """
    check_eval(model)
    selection = selection or Selection()
    a, b = 0, _first_that_differs(inputs)
    if isinstance(inputs, Texts):  # to one length, so that none is padded in any pass
        inputs = inputs.cut(int(inputs.lengths[[a, b]].min())).unpadded()
    # In the second pass neither end of the batch holds the example it held in the first.
    batches = ([a, b], [b, b, a], [a, a])
    traces = [
        trace(model, take(inputs, torch.tensor(batch)), selection.points) for batch in batches
    ]
    idle = sites_without_effect(
        model, take(inputs, torch.tensor([a, b])), watched(selection.points)
    )
    plan = _Planner(selection, idle).plan(*traces)
    _check_patterns(plan, selection)
    if not plan.points:
        seen = f"all {len(plan.seen)} seen were left out" if plan.seen else "none was seen"
        missed = f", and {plan.missed[0].name}: {plan.missed[0].reason}" if plan.missed else ""
        raise InputError(
            f"no quantization point to work on in {type(model).__name__}: {seen}{missed}"
        )
    return plan


def _first_that_differs(inputs: AllInputs) -> int:
    number = batch_size(inputs)
    if number < 2:
        raise InputError(f"two examples or more are needed to find the points; {number} was given")
    for index in range(1, number):
        pair = take(inputs, torch.tensor([0, index]))
        if isinstance(pair, Texts):
            pair = pair.cut(int(pair.lengths.min()))
        tensors = list(pair.values()) if isinstance(pair, Mapping) else [pair]
        if not all(torch.equal(tensor[0], tensor[1]) for tensor in tensors):
            return index
    raise InputError(
        f"all {number} examples are the same: two that differ are needed to find the points"
    )


def check_names(option: str, names: Iterable[str], plan: Plan) -> None:
    """Refuse names that no point has.

    Raises:
        PlanError: it names the first of them, and the nearest points.
    """
    known = [point.name for point in plan.seen]
    for name in names:
        if name not in known:
            hint = nearest(name, known) or f"; its points are {', '.join(known[:3])}, ..."
            raise PlanError(f"{option}: the model has no point {name!r}{hint}")


def floors_at(settings: AssessSettings, plan: Plan) -> list[int] | None:
    """The least width at each of the plan's points; None: every width everywhere.

    Raises:
        PlanError: a floor for a point that the model has not, or that is not quantized.
    """
    if not settings.floors:
        return None
    check_names("floors", settings.floors, plan)
    for point in plan.seen:
        if point.name in settings.floors and not point.quantized:
            raise PlanError(f"floors: {point.name} is not quantized: {point.reason}")
    return [settings.floors.get(point.name, settings.bits[0]) for point in plan.points]


def _check_patterns(plan: Plan, selection: Selection) -> None:
    """A pattern that names nothing is a slip that would leave other points quantized than meant."""
    check_names("float_points", selection.in_float, plan)
    for option, patterns in (("--include", selection.include), ("--exclude", selection.exclude)):
        for pattern in patterns:
            if not any(fnmatchcase(point.name, pattern) for point in plan.seen):
                known = ", ".join(point.name for point in plan.seen[:3])
                raise InputError(f"{option} {pattern!r} names none of the points ({known}, ...)")


class _Planner:
    def __init__(self, selection: Selection, idle: Set[str]) -> None:
        self.selection = selection
        self.idle = idle
        self.seen: list[Point] = []
        self.weights: dict[str, tuple[str, ...]] = {}
        self.missed: list[Missed] = []

    def plan(self, pair: Trace, triple: Trace, twins: Trace) -> Plan:
        for passed in (pair, triple, twins):
            self.missed += [missed for missed in passed.missed if missed not in self.missed]
        others = [{call.site: call for call in passed.calls} for passed in (triple, twins)]
        for call in pair.calls:
            same = [other.pop(call.site, None) for other in others]
            self._add(call, same[0], same[1])
        for call in (call for other in others for call in other.values()):
            self._miss(call, "reached in one pass but not in another")
        self._check_output(pair, triple, twins)
        untold = self._find_cached(pair)
        return Plan(
            tuple(self.seen), self.weights, tuple(self.missed), self.selection.points, untold
        )

    def _find_cached(self, passed: Trace) -> tuple[Missed, ...]:
        """Marks keys and values; returns what attends by operands that cannot be told."""
        cached: dict[tuple[str, str], Literal["key", "value"]] = {}
        untold = dict[str, Missed]()
        roles = {(p.site, p.role) for p in self.seen}
        for scores, mixed, told in passed.attends:
            # Attention multiplies activations twice; a gate's softmax is of a product with weights.
            if not {(site, role) for site in (scores, mixed) for role in ("lhs", "rhs")} <= roles:
                continue
            if told:
                cached |= {(scores, "rhs"): "key", (mixed, "rhs"): "value"}
            else:
                reason = "which of its operands are keys and values does not show"
                kind = passed.kind_of(scores)
                untold[scores] = Missed(scores, kind, reason)
        for point in self.seen:
            if point.kind == "attention" and point.role in ("key", "value"):
                cached[point.site, point.role] = "key" if point.role == "key" else "value"
        self.seen = [replace(p, cached=cached.get((p.site, p.role), "")) for p in self.seen]
        return tuple(untold.values())

    def _check_output(self, *passes: Trace) -> None:
        """What mixes examples after the last product shows nowhere else."""
        pair, triple, twins = (passed.output for passed in passes)
        if pair is None or triple is None or twins is None:
            return
        layout = find_layout(pair, triple, twins)
        if layout != Layout(0):
            reason = layout if isinstance(layout, str) else "it is not one row an example"
            self.missed.append(Missed("(output)", "output", reason))

    def _add(self, call: SeenCall, second: SeenCall | None, third: SeenCall | None) -> None:
        if call.site in self.idle:
            self.weights[call.site] = ()  # known, and left as it is
            return
        if second is None or third is None:
            self._miss(call, "reached in one pass but not in another")
            return
        if not call.function is second.function is third.function or not (
            call.values.keys() == second.values.keys() == third.values.keys()
        ):
            self._miss(call, "another operation in one pass than in another")
            return
        layouts = self._layouts(call, second, third)
        if call.operation.of_output != (self.selection.points == "outputs"):
            return
        roles = self._with_probabilities(call, layouts)
        for role, layout in roles.items():
            name = call.site if len(roles) == 1 else f"{call.site}:{role}"
            self._point(call, name, role, layout, call.flops // 2 // 2)

    def _layouts(self, call: SeenCall, second: SeenCall, third: SeenCall) -> dict[str, Layout]:
        """The operands that are activations; the others are noted as weights or as missed."""
        layouts: dict[str, Layout] = {}
        constant: list[str] = []
        for role, value in call.values.items():
            layout = find_layout(value, second.values[role], third.values[role])
            if isinstance(layout, str):
                self._miss(call, f"{role}: {layout}")
            elif layout is None:
                constant.append(role)
            else:
                layouts[role] = layout
        if call.products and call.values.keys() != call.operation.roles.keys():
            self._miss(call, "not all of its operands could be seen")
        # A product of constants alone is worked out before a network is quantized.
        folded = len(constant) == len(call.values)
        axes = call.operation.channel_axes
        self.weights[call.site] = () if folded else tuple(role for role in constant if role in axes)
        return layouts

    def _with_probabilities(self, call: SeenCall, layouts: dict[str, Layout]) -> dict[str, Layout]:
        """Fused attention multiplies twice; its second product's operand is a point as well."""
        source = next((role for role in ("query", "key") if role in layouts), None)
        if not is_attention(call.function) or source is None:
            return layouts
        from_end = call.values[source].ndim - layouts[source].axis
        if from_end <= 2:
            self._miss(call, "attention over the batch's own dimension")
            return layouts
        shape = self._shape_of_probabilities(call)
        inside = replace(layouts[source], axis=len(shape) - from_end)
        roles = [(role, layout) for role, layout in layouts.items() if role != "value"]
        last = [("value", layouts["value"])] if "value" in layouts else []
        return dict([*roles, ("probabilities", inside), *last])

    @staticmethod
    def _shape_of_probabilities(call: SeenCall) -> list[int]:
        query, key = call.values["query"].shape, call.values["key"].shape
        # The larger of each, since heads may be grouped or broadcast.
        lead = zip_longest(reversed(query[:-2]), reversed(key[:-2]), fillvalue=1)
        return [*reversed([max(pair) for pair in lead]), query[-2], key[-2]]

    def _point(self, call: SeenCall, name: str, role: str, layout: Layout, macs: int) -> None:
        inside = role == "probabilities"
        shape = self._shape_of_probabilities(call) if inside else list(call.values[role].shape)
        shape[layout.axis : layout.axis + 1] = [] if layout.group == 1 else [layout.group]
        reason = self.selection.reason_to_leave_out(name, role in call.raw)
        kind = call.operation.kind
        self.seen.append(Point(name, kind, call.site, role, layout, tuple(shape), macs, reason))

    def _miss(self, call: SeenCall, reason: str) -> None:
        self.missed.append(Missed(call.site, call.operation.kind, reason))
