"""Which axis of an input holds the examples, where that is not the first."""

from collections.abc import Mapping, Sequence
from typing import Any

Size = int | str | None
"""Of an axis that a file declares: a number, a name, or open."""


def batch_axes(declared: Mapping[str, Sequence[Size]]) -> dict[str, int]:
    """By input, the axis of the batch where it is another than the first, as in the state of a
    stream (layers, batch, values).

    The first input that has axes begins with the batch. Of another, the batch is the axis of the
    same name; or the only one that is left open, where its first is a number. Of numbers alone,
    (layers, 1, values) is the state of one example.
    """
    batch = next((sizes[0] for sizes in declared.values() if sizes), None)
    if isinstance(batch, int):
        states = {name: len(sizes) == 3 and sizes[1] == 1 for name, sizes in declared.items()}
        return {
            name: 1 for name in states if batch == 1 and states[name] and declared[name][0] != 1
        }
    axes = {name: _axis(sizes, batch) for name, sizes in declared.items()}
    return {name: axis for name, axis in axes.items() if axis}


def _axis(sizes: Sequence[Size], batch: str | None) -> int:
    """0 also where it cannot be told."""
    found = [axis for axis, size in enumerate(sizes) if size == batch and batch is not None]
    if not found and sizes and isinstance(sizes[0], int):
        found = [axis for axis, size in enumerate(sizes) if not isinstance(size, int)]
    return found[0] if len(found) == 1 else 0


def batch_first(sizes: Sequence[Size], axis: int) -> tuple[Size, ...]:
    """The sizes with that axis moved to the front, as examples are given here."""
    return (sizes[axis], *sizes[:axis], *sizes[axis + 1 :]) if sizes else ()


def declared_sizes(given: Any) -> tuple[Size, ...]:
    """Of an input of a graph, an `onnx.ValueInfoProto`."""
    sizes = given.type.tensor_type.shape.dim
    # Some exporters write an open size as 0, or as -1.
    return tuple(max(size.dim_value, 0) or size.dim_param or None for size in sizes)
