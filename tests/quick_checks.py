"""Types and shapes checked as jaxtyping does with beartype, at a fraction of its cost.

jaxtyping binds the arguments and checks them twice for every call of every function. It has to
only where a shape is told, and only once for arguments and results that look alike: of the same
types, dtypes and shapes, which is all that it looks at. And it makes the checks of a closure anew
whenever that is made, which takes milliseconds.

Importing this before `bitcliff` is what switches it on.
"""

import dataclasses
import functools
import inspect
import threading
import typing
from collections.abc import Callable
from types import CodeType
from typing import Any, Literal

import jaxtyping
import numpy as np
import torch

Checker = Callable[[Any], Any]

_as_jaxtyping_does = jaxtyping.jaxtyped
_config = jaxtyping.config
_closures: dict[CodeType, Callable[..., Any]] = {}
# One is like another to any check.
_BY_KIND = frozenset({int, float, bool, type(None)})
_ARRAYS = frozenset({torch.Tensor, torch.nn.Parameter, np.ndarray})


class _Called(threading.local):
    """The closures that are being called, the innermost last."""

    def __init__(self) -> None:
        self.now: list[Callable[..., Any]] = []


_called = _Called()


def jaxtyped(fn: Any = None, *, typechecker: Checker | None = None) -> Any:
    """Stands in for `jaxtyping.jaxtyped`, which its import hook puts above all there is."""
    if fn is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    if typechecker is not None and dataclasses.is_dataclass(fn):
        return _checked_dataclass(fn, typechecker)
    if typechecker is None or not inspect.isfunction(fn):
        return _as_jaxtyping_does(fn, typechecker=typechecker)
    if "<locals>" in fn.__qualname__:
        return _checked_closure(fn, typechecker)
    return _checked(fn, typechecker)


def _checked_dataclass(kind: Any, typechecker: Checker) -> Any:
    made = vars(kind).get("__init__")
    # One that is written out has been checked already, where it stands.
    if made is not None and not hasattr(made, "__wrapped__"):
        kind.__init__ = jaxtyped(made, typechecker=typechecker)
    return kind


def _checked(fn: Callable[..., Any], typechecker: Checker) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(fn) or any(map(_tells_shapes, fn.__annotations__.values())):
        if inspect.isgeneratorfunction(fn):
            by_jaxtyping: Callable[..., Any] = _as_jaxtyping_does(fn, typechecker=typechecker)
            return by_jaxtyping
        return _checked_by_looks(fn, typechecker)
    check = typechecker(fn)

    @functools.wraps(fn)
    def checked(*args: Any, **kwargs: Any) -> Any:
        called = fn if _config.jaxtyping_disable else check
        return called(*args, **kwargs)

    return checked


def _checked_by_looks(fn: Callable[..., Any], typechecker: Checker) -> Callable[..., Any]:
    """Arguments and a result whose looks have passed together pass again."""
    check = _as_jaxtyping_does(fn, typechecker=typechecker)
    passed: dict[Any, set[Any]] = {}
    results = _Called()

    @functools.wraps(fn)
    def given(*_args: Any, **_kwargs: Any) -> Any:
        return results.now[-1]()

    check_result = _as_jaxtyping_does(given, typechecker=typechecker)

    @functools.wraps(fn)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if _config.jaxtyping_disable:
            return fn(*args, **kwargs)
        look = tuple(map(look_of, args)), tuple([(key, look_of(kwargs[key])) for key in kwargs])
        known = passed.get(look)
        if known is None:
            result = check(*args, **kwargs)
            passed.setdefault(look, set()).add(look_of(result))
            return result
        result = fn(*args, **kwargs)
        seen = look_of(result)
        if seen not in known:
            results.now.append(lambda: result)
            try:
                check_result(*args, **kwargs)
            finally:
                results.now.pop()
            known.add(seen)
        return result

    return checked


def look_of(value: Any) -> Any:
    """All that a check of types and shapes may tell apart; of texts also what they say, since a
    type can name them."""
    kind: Any = type(value)
    if kind in _BY_KIND:
        return kind
    if kind in _ARRAYS:
        return kind, value.dtype, value.shape
    sort = _sort_of(kind)
    if sort == "collection":
        kinds = frozenset(map(type, value))
        return kind, len(value), kinds if kinds <= _BY_KIND else tuple(map(look_of, value))
    if sort == "dictionary":
        return kind, *(look_of(part) for item in value.items() for part in item)
    if sort == "tensor":  # one of a trace, whose shape is none yet
        return object()
    return value if sort == "itself" else kind


@functools.cache
def _sort_of(kind: type) -> Literal["collection", "dictionary", "tensor", "itself", "kind"]:
    """What is looked at of all values of a type."""
    if kind is dict:
        return "dictionary"
    if issubclass(kind, torch.Tensor):
        return "tensor"
    if issubclass(kind, (tuple, list, set, frozenset)):
        return "collection"
    return "itself" if kind is str or issubclass(kind, type) else "kind"


def _tells_shapes(hint: Any) -> bool:
    """Whether it does, or might: a name that is not known yet."""
    if isinstance(hint, str | typing.ForwardRef):
        return True
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    inner = hint if isinstance(hint, list | tuple) else typing.get_args(hint)
    return any(map(_tells_shapes, inner))


def _checked_closure(fn: Callable[..., Any], typechecker: Checker) -> Callable[..., Any]:
    """The checks are made once for its code, and call whichever closure of it is called."""
    code: CodeType = fn.__code__
    if code not in _closures:

        @functools.wraps(fn)
        def innermost(*args: Any, **kwargs: Any) -> Any:
            return _called.now[-1](*args, **kwargs)

        _closures[code] = _checked(innermost, typechecker)
    check = _closures[code]

    @functools.wraps(fn)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if _config.jaxtyping_disable:
            return fn(*args, **kwargs)
        _called.now.append(fn)
        try:
            return check(*args, **kwargs)
        finally:
            _called.now.pop()

    return checked


jaxtyping.jaxtyped = jaxtyped
