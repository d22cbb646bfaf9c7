"""Records damaged by hand: every place of their answers, one after the other."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np

from bitcliff.records.arrays import pack, unpack

Path = tuple[str | int, ...]
Damage = tuple[Path, Any]

# Their keys come from data: one of each stands for all.
_BY_DATA = {"bits", "floors", "images", "marks", "predictions", "resampled"}


def damages(answers: dict[str, Any]) -> list[Damage]:
    """What else could stand at each place; of a list's items the first and the last are enough."""
    alike: dict[Any, list[Path]] = {}
    for path, value in _places(answers, ()):
        kind = tuple(
            "*" if isinstance(step, int) or before in _BY_DATA else step
            for before, step in zip(("", *path), path, strict=False)
        )
        alike.setdefault((kind, type(value)), []).append(path)
    return [
        (path, other)
        for paths in alike.values()
        for path in dict.fromkeys((paths[0], paths[-1]))
        for other in _others(_at(answers, path))
    ]


def changed(node: Any, changes: Sequence[Damage]) -> Any:
    """The same with other values at some places; what is given stays as it is."""
    for path, value in changes:
        node = _replaced(node, path, value)
    return node


def at_once(changes: Sequence[Damage]) -> list[list[Damage]]:
    """Groups that are no bar to each other: of one answer, not two at one place or inside it."""
    seen: Counter[Path] = Counter()
    groups: dict[Any, list[Damage]] = {}
    for path, value in changes:
        depth = len(path) if isinstance(value, list | dict) else 0
        groups.setdefault((path[0], seen[path], depth), []).append((path, value))
        seen[path] += 1
    return [*groups.values()]


def together(
    changes: list[Damage], is_read: Callable[[list[Damage]], bool]
) -> Iterator[list[Damage]]:
    """As many at once as are still read, in halves and halves of halves; at least one."""
    if len(changes) == 1 or is_read(changes):
        yield changes
        return
    middle = len(changes) // 2
    yield from together(changes[:middle], is_read)
    yield from together(changes[middle:], is_read)


def _replaced(node: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    new = copy(node)
    new[path[0]] = _replaced(node[path[0]], path[1:], value)
    return new


def _at(node: Any, path: Path) -> Any:
    for step in path:
        node = node[step]
    return node


def _places(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if path:
        yield path, node
    steps = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for step in () if _is_packed(node) else steps:
        yield from _places(node[step], (*path, step))


def _is_packed(node: Any) -> bool:
    return isinstance(node, dict) and node.keys() == {"dtype", "shape", "zlib"}


def _other_arrays(packed: dict[str, Any]) -> list[Any]:
    """Shorter, longer, and with another last entry, as far as its type has such."""
    values = unpack(packed)
    found = [{**packed, "zlib": ""}, *map(pack, (values[:-1], np.concatenate([values, values])))]
    for entry in (-1, 0, 255, 10**9, math.nan, math.inf) if values.size else ():
        is_whole = isinstance(entry, int)
        if (is_whole and np.can_cast(np.min_scalar_type(entry), values.dtype)) or (
            values.dtype.kind == "f"
        ):
            other = values.copy()
            other.flat[-1] = entry
            found.append(pack(other))
    return [one for one in found if one != packed]


def _others(value: Any) -> list[Any]:
    if _is_packed(value):
        return _other_arrays(value)
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
