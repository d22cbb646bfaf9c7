"""One traced forward pass: the tensors at every watched call, and work that no watched call did."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from bitcliff.errors import InputError
from bitcliff.points.forward import logits_of, raw_tensors
from bitcliff.points.operations import ACTIVATIONS, ATTENTION, COMPUTE, Function, Operation
from bitcliff.points.plan import Missed, Where
from bitcliff.points.walk import Walk, operand
from bitcliff.types.subject import Inputs

# Kernels that multiply matrices but that torch's own operation counter does not know.
_FURTHER_COMPUTE = (
    "mkldnn_rnn_layer",
    "_cudnn_rnn",
    "miopen_rnn",
    "quantized_lstm",
    "_native_multi_head_attention",
    "_transformer_encoder_layer_fwd",
    "mkldnn_linear",
    "mkldnn_convolution",
    "_int_mm",
    "_weight_int8pack_mm",
    "_weight_int4pack_mm",
)
_ACTIVATION_KERNELS = {operation.kind for operation in ACTIVATIONS.values()}
_KNOWN_NAMESPACES = ("aten", "prim", "prims")


@dataclass
class SeenCall:
    """A watched call in one pass. `values` are copies; `raw` roles hold the model's own input."""

    site: str
    function: Function
    operation: Operation
    values: dict[str, Tensor]
    raw: set[str]
    flops: int = 0


@dataclass
class Trace:
    """All watched calls of one pass, in order, and what was missed."""

    calls: list[SeenCall] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)


def trace(model: nn.Module, inputs: Inputs, where: Where) -> Trace:
    """Run the model once, without gradient, and note every watched call."""
    walk = _Tracer(model, inputs, where)
    with torch.no_grad(), walk, _KernelWatch(walk):
        logits_of(model, inputs)
    return walk.trace


class _Tracer(Walk):
    def __init__(self, model: nn.Module, inputs: Inputs, where: Where) -> None:
        super().__init__(model, COMPUTE if where == "inputs" else {**COMPUTE, **ACTIVATIONS})
        self.where = where
        self.trace = Trace()
        self.current: SeenCall | None = None
        self.activation: str | None = None
        self._constants = {id(p) for p in [*model.parameters(), *model.buffers()]}
        # Tensors by id, kept alive so that no id is used twice: what the input became so far.
        self._alive: list[Tensor] = []
        self._raw = {id(tensor) for tensor in raw_tensors(inputs)}
        self._processed: set[int] = set()

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        values = {role: operand(operation, role, args, kwargs) for role in operation.roles}
        present = {role: value for role, value in values.items() if value is not None}
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
        return result

    def on_other(self, function: Function, args: Any, kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        self._note(args, kwargs, result)
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


class _KernelWatch(TorchDispatchMode):
    """Sees the kernels below every call, so that work done out of the tables' sight is not missed."""

    def __init__(self, walk: _Tracer) -> None:
        super().__init__()
        self.walk = walk

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        name = packet.__name__
        if packet in flop_registry:
            flops = flop_registry[packet](*args, **(kwargs or {}), out_val=result)
            self._compute(name, int(flops))
        elif name in _FURTHER_COMPUTE:
            self._compute(name, 0)
        elif func.namespace not in _KNOWN_NAMESPACES:
            self._miss(name, f"operator of {func.namespace}, unknown to Bitcliff")
        elif self.walk.where == "outputs" and name.rstrip("_") in _ACTIVATION_KERNELS:
            self._activation(name)
        return result

    def _compute(self, name: str, flops: int) -> None:
        call = self.walk.current
        if call is not None and not call.operation.of_output:
            call.flops += flops
        else:
            self._miss(name, "a product that ran inside an operation Bitcliff cannot open")

    def _activation(self, name: str) -> None:
        call = self.walk.current
        if call is None:
            self._miss(name, "an activation that ran inside an operation Bitcliff cannot open")

    def _miss(self, name: str, reason: str) -> None:
        missed = Missed(self.walk.running or "(root)", name, reason)
        if missed not in self.walk.trace.missed:
            self.walk.trace.missed.append(missed)


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
