"""Names of modules, taken from what the exporters leave of a network's own names."""

import re
from collections.abc import Container

from torch import nn

_LONGEST, _DEEPEST = 120, 16
_WEIGHT = re.compile(r"[A-Za-z_]\w*(\.\w+)*\.weight")


def path_of_node(node_name: str, operator: str, weight: str | None) -> str:
    """A dotted path: "layer1.0.conv1" where a weight or the node gives one.

    Args:
        node_name: such as "/layer1/layer1.0/conv1/Conv" or "node_Conv_292".
        weight: name of its constant weight, such as "layer1.0.conv1.weight"; None: it has none.
    """
    if weight is not None and _WEIGHT.fullmatch(weight):
        return _bounded(weight.removesuffix(".weight").split("."))
    parts: list[str] = []
    for part in filter(None, node_name.split("/")):
        # PyTorch's older exporter repeats the outer name inside a list: layer1/layer1.0.
        if parts and part.startswith(f"{parts[-1]}."):
            parts[-1] = part
        else:
            parts.append(part)
    if weight is not None and len(parts) > 1:
        parts.pop()  # the operator's name; a layer is known by its own
    return _bounded(".".join(parts).split(".") if parts else [operator])


def _bounded(parts: list[str]) -> str:
    plain = [plain_name(part) for part in parts if part] or ["node"]
    if len(plain) > _DEEPEST or sum(map(len, plain)) > _LONGEST:
        return plain_name("_".join(plain))[-_LONGEST:]
    return ".".join(plain)


def plain_name(name: str) -> str:
    """Letters, digits and underscores only, as a module's attribute may be named."""
    return re.sub(r"\W", "_", name, flags=re.ASCII)[-_LONGEST:] or "_"


def free_name(module: nn.Module, name: str) -> str:
    """The name, or with a number after it, such that the module has no such attribute yet."""
    number, free = 1, name
    while hasattr(module, free):
        number += 1
        free = f"{name}_{number}"
    return free


class Paths:
    """Gives out dotted paths, such that no two are the same and none lies inside another."""

    def __init__(self, taken: Container[str]) -> None:
        self._taken = taken
        self._leaves: set[str] = set()
        self._inner: set[str] = set()

    def unique(self, path: str) -> str:
        """The path itself, or changed as little as it takes."""
        parts = [f"{part}_" if part in self._taken else part for part in path.split(".")]
        outer = [".".join(parts[:depth]) for depth in range(1, len(parts))]
        if not self._leaves.isdisjoint(outer):
            parts, outer = ["_".join(parts)], []
        base = free = ".".join(parts)
        number = 1
        while free in self._leaves or free in self._inner:
            number += 1
            free = f"{base}_{number}"
        self._leaves.add(free)
        self._inner.update(outer)
        return free
