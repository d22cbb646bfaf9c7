"""Following a forward pass: which module is running, and what each watched call is named."""

import types
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from bitcliff.points.operations import Function, Operation


class Walk(TorchFunctionMode):
    """Sees every torch call made while `model` runs and hands the watched ones to `on_call`.

    It hooks modules globally and functions through a mode, so the model itself is never touched: a
    convolution is seen whether a module or plain code calls it.
    """

    def __init__(self, model: nn.Module, table: Mapping[Function, Operation]) -> None:
        super().__init__()
        self.model = model
        self.table = table
        self._names = {id(module): name for name, module in model.named_modules()}
        self._layers = {id(module) for module in model.modules() if _is_layer(module)}
        self._owners = {id(p): name.rpartition(".")[0] for name, p in model.named_parameters()}
        # The modules that are running, outermost first: path, and whether it is a layer.
        self._stack: list[tuple[str, bool]] = []
        self._calls: Counter[str] = Counter()
        self._handles: list[RemovableHandle] = []

    def on_forward(self) -> None:
        """The model's forward pass begins."""

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        """A watched call; must return what the call is to give."""
        raise NotImplementedError

    def on_other(self, function: Function, args: Any, kwargs: Any) -> Any:
        """Any other torch call inside the model."""
        return function(*args, **kwargs)

    @property
    def running(self) -> str:
        """The path of the module that is running; empty outside the model and in its root."""
        return self._stack[-1][0] if self._stack else ""

    def __enter__(self) -> "Walk":
        self._handles = [
            register_module_forward_pre_hook(self._enter_module),
            register_module_forward_hook(self._leave_module, always_call=True),
        ]
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()
        self._stack.clear()

    def _enter_module(self, module: nn.Module, _inputs: Any) -> None:
        if module is self.model:
            self._stack = [("", id(module) in self._layers)]
            self._calls.clear()
            self.on_forward()
        elif self._stack:
            path = self._names.get(id(module))
            if path is None:  # made during the pass, so it has no name of its own
                path = ".".join(filter(None, [self.running, type(module).__name__]))
            self._stack.append((path, id(module) in self._layers))

    def _leave_module(self, module: nn.Module, _inputs: Any, _output: Any) -> None:
        if self._stack:
            self._stack.pop()

    def __torch_function__(
        self,
        func: Function,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if not self._stack:
            return func(*args, **kwargs)
        if func is F.multi_head_attention_forward:
            with self:
                return _OPEN_MULTI_HEAD(*args, **kwargs)
        operation = self.table.get(func)
        if operation is None or (operation.kind == "einsum" and len(args) != 3):
            return self.on_other(func, args, kwargs)
        return self.on_call(self._site(operation, args, kwargs), func, operation, args, kwargs)

    def _site(self, operation: Operation, args: Any, kwargs: Any) -> str:
        """The layer's own name where there is one, which is the name its users know."""
        path, is_layer = self._stack[-1]
        operands = (operand(operation, role, args, kwargs) for role in operation.roles)
        owner = next((o for o in map(self._owners.get, map(id, operands)) if o is not None), "")
        base = path if is_layer else owner
        base = base or ".".join(filter(None, [path, operation.kind]))
        self._calls[base] += 1
        return base if self._calls[base] == 1 else f"{base}@{self._calls[base]}"


def _is_layer(module: nn.Module) -> bool:
    # Convolutions may hold a padding module of their own, and are layers all the same.
    return isinstance(module, nn.Linear | _ConvNd) or not any(module.children())


def _opened(function: types.FunctionType) -> Callable[..., Any]:
    """A copy of a Python function of torch's that runs its body even while a mode is active.

    Such a function hands itself whole to the mode; its body, where the products are, would then run
    unseen. In the copy the question that leads there is answered "no".
    """
    names = {
        **function.__globals__,
        "has_torch_function": lambda _tensors: False,
    }
    copy = types.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


_OPEN_MULTI_HEAD = _opened(F.multi_head_attention_forward)


def operand(operation: Operation, role: str, args: Any, kwargs: Any) -> Tensor | None:
    """The tensor that plays `role` in a call, or None."""
    position, keyword = operation.roles[role]
    value = args[position] if position < len(args) else kwargs.get(keyword)
    return value if isinstance(value, Tensor) else None


def with_operand(
    operation: Operation, role: str, value: Tensor, args: Any, kwargs: Any
) -> tuple[Any, Any]:
    """The call's arguments with another tensor in `role`."""
    position, keyword = operation.roles[role]
    if position < len(args):
        return (*args[:position], value, *args[position + 1 :]), kwargs
    return args, {**kwargs, keyword: value}
