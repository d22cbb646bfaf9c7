"""One traced forward pass: the tensors at every watched call, and work that no watched call did."""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from bitcliff.errors import InputError
from bitcliff.points.forward import output_of, raw_tensors
from bitcliff.points.kernels import KernelWatch
from bitcliff.points.operations import ATTENTION, Function, Operation, watched
from bitcliff.points.plan import Missed, Where
from bitcliff.points.walk import Walk, operand
from bitcliff.types.subject import Inputs

Stage = Literal["scores", "shares", "odd"]
"""Before a softmax, behind one along the last axis, or behind one along another."""


@dataclass
class SeenCall:
    """A watched call in one pass.

    Attributes:
        values: copies of its tensor operands, by role.
        raw: the roles that hold the model's own input.
        products: how many kernels multiplied in it. flops: their floating-point operations.
    """

    site: str
    function: Function
    operation: Operation
    values: dict[str, Tensor]
    raw: set[str]
    products: int = 0
    flops: int = 0


@dataclass
class Trace:
    """All watched calls of one pass, in order, what was missed, and the model's output.

    Attributes:
        attends: products whose result reaches another through a softmax, as attention's scores do:
            the first one's site, the other's, and whether keys and values are their right operands.
    """

    calls: list[SeenCall] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    attends: list[tuple[str, str, bool]] = field(default_factory=list)
    output: Tensor | None = None

    def kind_of(self, site: str) -> str:
        """Of the call at a site; empty where none was seen."""
        return next((call.operation.kind for call in self.calls if call.site == site), "")


def trace(model: nn.Module, inputs: Inputs, where: Where) -> Trace:
    """Run the model once, without gradient, and note every watched call."""
    walk = _Tracer(model, inputs, where)
    with torch.no_grad(), walk, KernelWatch(walk):
        output = output_of(model, inputs)
    # A copy, since a model may give its input or a buffer back.
    walk.trace.output = output.detach().clone()
    return walk.trace


class _Tracer(Walk):
    def __init__(self, model: nn.Module, inputs: Inputs, where: Where) -> None:
        super().__init__(model, watched(where))
        self.where = where
        self.trace = Trace()
        self.current: SeenCall | None = None
        self.activation: str | None = None
        self._constants = {id(p) for p in [*model.parameters(), *model.buffers()]}
        # Tensors by id, kept alive so that no id is used twice: what the input became so far.
        self._alive: list[Tensor] = []
        self._raw = {id(tensor) for tensor in raw_tensors(inputs)}
        self._processed: set[int] = set()
        # Tensors that hold a product's result: its site, how far it is to be attention's shares.
        self._scores: dict[int, tuple[str, Stage]] = {}

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        values = {role: operand(operation, role, args, kwargs) for role in operation.roles}
        present = {role: value for role, value in values.items() if value is not None}
        if any(map(is_wrapped, present.values())):
            # Its values mean nothing outside the transform; the kernel watch will note the product.
            return function(*args, **kwargs)
        call = SeenCall(
            site,
            function,
            operation,
            {role: self._copy(value) for role, value in present.items()},
            {role for role, value in present.items() if id(value) in self._raw},
        )
        self.trace.calls.append(call)
        outer, self.current = self.current, call
        try:
            result = function(*args, **kwargs)
        finally:
            self.current = outer
        if operation.of_output:
            call.values["output"] = result.detach().clone()
            if not self._note(args, kwargs, result):
                call.raw.add("output")
        else:
            self._remember(result, self._processed)
            self._attend(call, present, result)
        return result

    def _attend(self, call: SeenCall, operands: dict[str, Tensor], result: Tensor) -> None:
        for role, value in operands.items():
            site, stage = self._scores.get(id(value), ("", "scores"))
            if stage != "scores":
                kinds = {call.operation.kind, self.trace.kind_of(site)}
                told = stage == "shares" and role == "lhs" and kinds == {"matmul"}
                self.trace.attends.append((site, call.site, told))
        if {"lhs", "rhs"} <= operands.keys():
            self._scores[id(result)] = call.site, "scores"

    def _follow_scores(self, function: Function, args: Any, kwargs: Any, result: Any) -> None:
        leaves = tree_leaves((args, kwargs))
        found = {self._scores[id(leaf)] for leaf in leaves if id(leaf) in self._scores}
        if len(found) == 1 and isinstance(result, Tensor):
            site, stage = found.pop()
            if getattr(function, "__name__", "") in ("softmax", "_softmax"):
                dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
                stage = "shares" if dim in (-1, result.ndim - 1) else "odd"
            self._scores[id(result)] = site, stage

    def on_other(self, function: Function, args: Any, kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        self._note(args, kwargs, result)
        if self._scores:
            self._follow_scores(function, args, kwargs, result)
        return result

    def _note(self, args: Any, kwargs: Any, result: Any) -> bool:
        """Whether the result holds more than the raw input; remembered for what comes after."""
        sources = {id(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        is_raw = bool(sources & self._raw) and not sources & self._processed
        if is_raw:
            self._remember(result, self._raw)
        elif sources & self._processed:
            self._remember(result, self._processed)
        return not is_raw

    def _remember(self, result: Any, where: set[int]) -> None:
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self._alive += tensors
        where.update(map(id, tensors))

    def _copy(self, value: Tensor) -> Tensor:
        return value if id(value) in self._constants else value.detach().clone()

    def saw_product(self, kernel: str, flops: int) -> None:
        """Credit it to the call it belongs to, or note that no call is known."""
        call = self.current
        if call is None or call.operation.of_output:
            self._miss(kernel, "a product that ran inside an operation Bitcliff cannot open")
        else:
            call.products += 1
            call.flops += flops

    def saw_activation(self, kernel: str) -> None:
        """Only where activations' outputs are the points."""
        if self.where == "outputs" and self.current is None:
            self._miss(kernel, "an activation that ran inside an operation Bitcliff cannot open")

    def saw_unknown(self, kernel: str, reason: str) -> None:
        """Nothing is known about what it multiplies."""
        self._miss(kernel, reason)

    def _miss(self, name: str, reason: str) -> None:
        missed = Missed(self.running or "(root)", name, reason)
        if missed not in self.trace.missed:
            self.trace.missed.append(missed)


def is_wrapped(value: Tensor) -> bool:
    """Whether a transform such as torch.vmap is at work on the tensor."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(value))


def is_attention(function: Function) -> bool:
    """Whether the call is fused attention, which has a point inside it."""
    return function is ATTENTION


def check_eval(model: nn.Module) -> None:
    """InputError if any part of the model is in training mode."""
    for name, module in model.named_modules():
        if module.training:
            raise InputError(
                f"the model is in training mode at {name or 'its root'}: call model.eval() first"
            )
