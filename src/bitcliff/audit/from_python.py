"""A user's own objects in Python, an nn.Module and a DataLoader, as a subject and its examples."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.points.baseline import check_baseline
from bitcliff.tasks import Task
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.subject import Examples, Inputs, Subject, examples_sha256, tensors_sha256

_LABEL_KEYS = ("labels", "label")


def own_subject(model: nn.Module) -> Subject:
    """The model as it is: not frozen, not moved, not put in eval mode.

    Raises:
        InputError: it is quantized already, or its weights are float16.
    """
    check_baseline(model)
    return Subject(
        name=type(model).__name__,
        module=model,
        preprocessing=None,
        class_names=None,
        weights_sha256=tensors_sha256(model.state_dict()),
        runs_user_code=True,
    )


def own_examples(data: Iterable[Any], task: Task | None = None) -> Examples:
    """Read a DataLoader, or any iterable of batches, to its end.

    Labels are classes, or what the task wants of each example.

    A batch is (inputs, labels) or inputs alone; inputs are a tensor (batch, *rest), or a mapping of
    such tensors, whose "labels" or "label" is taken out. A bare tensor is one batch.

    Raises:
        InputError: it yields something else, batches that do not fit together, NaN, or nothing.
    """
    asks = isinstance(task, AgainstFloat)
    batches = [_batch(batch, asks) for batch in ([data] if isinstance(data, Tensor) else data)]
    if not batches:
        raise InputError("the data is empty: it must yield at least two examples")
    inputs = _joined([inputs for inputs, _ in batches])
    labels = [y for _, y in batches if y is not None]
    if labels and len(labels) != len(batches):
        raise InputError("the data has labels in some batches and none in others")
    tensors = [inputs] if isinstance(inputs, Tensor) else list(inputs.values())
    if any(t.is_floating_point() and not bool(torch.isfinite(t).all()) for t in tensors):
        raise InputError("the data holds NaN or infinity; remove or repair those examples")
    y = torch.cat(labels) if labels else None
    digest, n = examples_sha256(inputs, y), len(tensors[0])
    if isinstance(task, AgainstFloat) and y is not None:
        task.tell(inputs, y)
        y = torch.zeros(n, dtype=torch.int64)  # the first decision: as labelled
    return Examples(
        name=type(data).__name__,
        inputs=inputs,
        labels=y,
        ids=tuple(map(str, range(n))),
        n_available=n,
        sha256=digest,
    )


def _batch(batch: Any, asks: bool) -> tuple[Inputs, Tensor | None]:
    labels = None
    if isinstance(batch, tuple | list):
        if not 1 <= len(batch) <= 2:
            raise InputError(f"the data yields {len(batch)} things a batch, not (inputs, labels)")
        batch, labels = batch[0], batch[1] if len(batch) == 2 else None
    if isinstance(batch, Mapping):
        batch = dict(batch)
        named = [batch.pop(key) for key in _LABEL_KEYS if key in batch]
        labels = named[0] if named and labels is None else labels
    tensors = list(batch.values()) if isinstance(batch, dict) else [batch]
    if not tensors or not all(isinstance(t, Tensor) and t.ndim >= 1 for t in tensors):
        raise InputError(
            f"the data yields {type(batch).__name__}; it must yield batches of tensors, or "
            "(inputs, labels), as a DataLoader does"
        )
    if len({len(t) for t in tensors}) != 1:
        raise InputError(f"the data yields tensors of different batch size: {_shapes(tensors)}")
    return batch, None if labels is None else _labels(labels, len(tensors[0]), asks)


def _labels(labels: Any, n: int, asks: bool) -> Tensor:
    """Classes, unless a task asks for something else."""
    try:
        y = torch.as_tensor(labels).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the data yields labels of type {type(labels).__name__}; they must be class indices"
        ) from error
    if asks and y.ndim and len(y) == n and not y.is_complex() and bool(y.isfinite().all()):
        return y
    if y.shape != (n,) or y.is_floating_point() or y.is_complex():
        raise InputError(
            f"the data yields labels {y.dtype} {tuple(y.shape)} for {n} examples; they must be "
            f"class indices, whole numbers of shape ({n},)"
        )
    return y.long()


def _joined(batches: list[Inputs]) -> Inputs:
    first = batches[0]
    if isinstance(first, Tensor):
        if not all(isinstance(batch, Tensor) for batch in batches):
            raise InputError("the data yields tensors in some batches and mappings in others")
        return _concatenated([batch for batch in batches if isinstance(batch, Tensor)])
    named = [dict(batch) for batch in batches if isinstance(batch, Mapping)]
    if len(named) != len(batches) or any(batch.keys() != named[0].keys() for batch in named):
        raise InputError("the data yields batches that do not hold the same named tensors")
    return {key: _concatenated([batch[key] for batch in named]) for key in named[0]}


def _concatenated(parts: list[Tensor]) -> Tensor:
    shapes = {(part.shape[1:], part.dtype) for part in parts}
    if len(shapes) != 1:
        raise InputError(
            f"the data yields examples of different shapes or types: {_shapes(parts)}; "
            "bring them to one, for instance by padding"
        )
    return torch.cat(parts).detach()


def _shapes(tensors: list[Tensor]) -> str:
    found = dict.fromkeys(f"{t.dtype} {tuple(t.shape)}".removeprefix("torch.") for t in tensors)
    return ", ".join(list(found)[:3])
