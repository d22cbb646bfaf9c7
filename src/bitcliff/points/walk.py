"""Following a forward pass: which module is running, and what each watched call is named."""

import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from bitcliff.errors import BitcliffError
from bitcliff.points.operations import Function, Operation, as_called
from bitcliff.points.recurrent import is_recurrent, taken_apart


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
        self.parameters: dict[int, str] = {}
        self.note_owners()
        # The modules that are running, outermost first: id, path, and whether it is a layer.
        self._stack: list[tuple[int, str, bool]] = []
        self._calls: Counter[str] = Counter()
        self._sites_used: set[str] = set()
        self._undo: ExitStack | None = None

    def note_owners(self) -> None:
        """What each parameter is called, as the model holds them now."""
        self.parameters = {id(p): name for name, p in self.model.named_parameters()}

    def on_forward(self) -> None:
        """The model's forward pass begins."""

    def on_finished(self) -> None:
        """It ended, and not by an exception."""

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
        return self._stack[-1][1] if self._stack else ""

    def __enter__(self) -> "Walk":
        if self._undo is not None:
            raise BitcliffError("this attachment is active already: leave it before entering again")
        with ExitStack() as opened:
            for handle in (
                register_module_forward_pre_hook(self._enter_module),
                register_module_forward_hook(self._leave_module, always_call=True),
            ):
                opened.callback(handle.remove)
            if "torch._dynamo" in sys.modules:
                # What torch.compile has compiled runs as the plain code it came from.
                opened.enter_context(torch.compiler.set_stance("force_eager"))
            opened.callback(self._stack.clear)
            super().__enter__()  # type: ignore[no-untyped-call]
            self._undo = opened.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        if self._undo is not None:
            self._undo.close()
            self._undo = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Calls made inside are not the model's: those of a policy that looks at inputs, say."""
        stack, self._stack = self._stack, []
        try:
            yield
        finally:
            self._stack = stack

    def _enter_module(self, module: nn.Module, _inputs: Any) -> None:
        if module is self.model:
            self._stack = [(id(module), "", id(module) in self._layers)]
            self._calls.clear()
            self._sites_used.clear()
            self.on_forward()
        elif self._stack:
            path = self._names.get(id(module))
            if path is None:  # made during the pass, so it has no name of its own
                path = ".".join(filter(None, [self.running, type(module).__name__]))
            self._stack.append((id(module), path, id(module) in self._layers))

    def _leave_module(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        # Another hook may have failed before this one saw the module begin.
        if self._stack and self._stack[-1][0] == id(module):
            self._stack.pop()
            if not self._stack and output is not None:
                self.on_finished()

    def __torch_function__(
        self,
        func: Function,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if not self._stack:
            return func(*args, **kwargs)
        operation = self.table.get(func)
        if operation is not None and operation.kind == "einsum":
            if len(args) == 2 and isinstance(args[1], list | tuple):
                args = (args[0], *args[1])
            if len(args) != 3:
                operation = None
        if operation is None:
            if func is F.multi_head_attention_forward:
                with self._opened():
                    return _OPEN_MULTI_HEAD(*args, **kwargs)
            if is_recurrent(func, args):
                with self._opened():
                    return taken_apart(func, args, self._product)
            return self.on_other(func, args, kwargs)
        operation = as_called(operation, args, kwargs)
        return self.on_call(self._site(operation, args, kwargs), func, operation, args, kwargs)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Runs a body under this mode, which torch switches off while the mode handles a call."""
        super().__enter__()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            super().__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def _product(self, name: str, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """One of a recurrent layer's, as if a layer of this name inside it ran."""
        path = ".".join(filter(None, [self.running, name]))
        self._stack.append((0, path, True))
        try:
            return F.linear(x, weight, bias)
        finally:
            self._stack.pop()

    def _site(self, operation: Operation, args: Any, kwargs: Any) -> str:
        """The layer's own name where there is one, which is the name its users know."""
        _, path, is_layer = self._stack[-1]
        base = path if is_layer else self._owner(operation, args, kwargs)
        base = base or ".".join(filter(None, [path, operation.kind]))
        site = base
        # A module may itself be named like a second use: then the count goes on to a free name.
        while site in self._sites_used:
            self._calls[base] += 1
            site = f"{base}@{self._calls[base] + 1}"
        self._sites_used.add(site)
        return site

    def _owner(self, operation: Operation, args: Any, kwargs: Any) -> str:
        """Of the first operand that is a parameter of the model; empty without one."""
        operands = (operand(operation, role, args, kwargs) for role in operation.roles)
        names = map(self.parameters.get, map(id, operands))
        return next((name.rpartition(".")[0] for name in names if name is not None), "")


def _is_layer(module: nn.Module) -> bool:
    # Convolutions may hold a padding module of their own, and are layers all the same.
    return isinstance(module, nn.Linear | _ConvNd) or not any(module.children())


def _opened(function: Any) -> Callable[..., Any]:
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
