"""Records damaged by hand: every place of an explanation, one after the other."""

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

Path = tuple[str | int, ...]
Damage = tuple[Path, Any]

# Their keys come from data: one of each stands for all.
_BY_DATA = {"predictions", "answers", "losses", "bits", "floors", "pictures", "values", "causes"}


def damages(explanation: dict[str, Any]) -> list[Damage]:
    """What else could stand at each place; of a list's items the first and the last are enough."""
    alike: dict[Any, list[Path]] = {}
    for path, value in _places(explanation, ()):
        kind = tuple(
            "*" if isinstance(step, int) or before in _BY_DATA else step
            for before, step in zip(("", *path), path, strict=False)
        )
        alike.setdefault((kind, type(value)), []).append(path)
    return [
        (path, other)
        for paths in alike.values()
        for path in dict.fromkeys((paths[0], paths[-1]))
        for other in _others(at(explanation, path))
    ]


def at(node: Any, path: Path) -> Any:
    """What stands at a place."""
    for step in path:
        node = node[step]
    return node


def damaged(node: Any, path: Path, value: Any) -> Any:
    """The same with another value at a place; what is given stays as it is."""
    if not path:
        return value
    new = copy(node)
    new[path[0]] = damaged(node[path[0]], path[1:], value)
    return new


def together(
    changes: list[Damage], apply: Callable[[list[Damage]], bool]
) -> Iterator[list[Damage]]:
    """As many changes at once as `apply` bears, until each was in one group or was by itself."""
    if apply(changes) or len(changes) == 1:
        yield changes
        return
    middle = len(changes) // 2
    yield from together(changes[:middle], apply)
    yield from together(changes[middle:], apply)


def _places(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if path:
        yield path, node
    steps = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for step in steps:
        yield from _places(node[step], (*path, step))


def _others(value: Any) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case int():
            return [one for one in (-1, 0, value + 1, 10**30, 10**400) if one != value]
        case float():
            return [one for one in (-1.0, 0.0, 1e308, -1e308) if one != value]
        case str():
            return ["nobody", "", value + value]
        case list():
            return [[], value[:-1], value + value] if value else [[0], ["nobody"]]
        case dict():
            return [{}, dict(list(value.items())[1:])] if value else [{"nobody": 0}]
        case _:
            return [0, "nobody", []]
