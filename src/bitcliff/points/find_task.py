"""What a network is judged by, where nobody said."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.points.forward import output_of, part_of, parts_alike, take, taken, unpadded
from bitcliff.points.outputs import examples_first, find_moved, keep_moved, moved_of
from bitcliff.tasks import Threshold, judge_as, task_of
from bitcliff.tasks.against_float import AgainstFloat, Comparison, every_digest
from bitcliff.tasks.choice import read_task
from bitcliff.tasks.continuation import Continuation
from bitcliff.tasks.neighbours import Nearest, Verification
from bitcliff.tasks.protocol import Task, told_task
from bitcliff.tasks.top_k import TopK
from bitcliff.types.subject import AllInputs

_AT_ONCE = 64


def judge_by(module: nn.Module, task: str | Task | Comparison) -> None:
    """Let a network be judged as `--task` says, or by a task that is made already.

    Raises:
        InputError: no such task.
    """
    found = read_task(task) if isinstance(task, str) else task
    if isinstance(found, Continuation):
        found = replace(found, ends=_ends(module))
    if isinstance(found, Comparison):
        found = AgainstFloat(found, partial(output_of, module))
    judge_as(module, found)


def _ends(module: Any) -> tuple[int, ...]:
    """The tokens that end a text, where a network comes with a configuration that says so."""
    told = getattr(getattr(module, "generation_config", None), "eos_token_id", None)
    return () if told is None else (told,) if isinstance(told, int) else tuple(told)


def refuse_labels(module: nn.Module, data: str) -> None:
    """For labelled data.

    Raises:
        InputError: they are classes, and not what the network's task wants.
    """
    task = task_of(module)
    if isinstance(task, AgainstFloat) and not (
        task.labelled or isinstance(task.kind, Nearest | TopK)
    ):
        raise InputError(
            f"{data}: its labels are classes, of which --task {task.name} knows nothing; give "
            "labels of that task (a .npz with y, a .csv), or leave them out (a folder of the "
            "files alone)"
        )


def find_task(module: nn.Module, inputs: AllInputs) -> None:
    """Let a network that gives one score be judged by it, and choose a threshold if none is told.

    Args:
        inputs: all examples.
    """
    with torch.no_grad():
        find_one_score(module, first_output(module, inputs))
    learn_from_all(module, inputs)


def first_output(module: nn.Module, inputs: AllInputs) -> Tensor:
    """What the network gives for the first example; from then on its examples come first, wherever
    the network has them; see `Moved`."""
    one = output_of(module, take(inputs, torch.tensor([0])))
    if moved_of(module) is not None:
        return one
    moved = find_moved(one, lambda n: output_of(module, take(inputs, torch.zeros(n).long())))
    if moved is not None:
        keep_moved(module, moved)
    return examples_first(one, moved)


def find_one_score(module: nn.Module, output: Tensor) -> None:
    """The same, where it is known what the network gives for one example."""
    if told_task(module) is None and output.numel() == 1 and output.is_floating_point():
        judge_as(module, Threshold())


def learn_from_all(module: nn.Module, inputs: AllInputs) -> None:
    """What a task must know of all examples, by what the network gives for them: a threshold that
    nobody told, or the gallery that neighbours are looked for in.

    Raises:
        InputError: no decision could change.
    """
    task = task_of(module)
    if isinstance(task, Threshold) and task.at is None:
        judge_as(module, task.chosen(every_output(module, inputs).flatten()))
    elif isinstance(task, AgainstFloat) and isinstance(task.kind, Nearest):
        _fill_gallery(task, task.kind, module, inputs)
    elif isinstance(task, AgainstFloat) and isinstance(task.kind, Verification):
        told = task.told(inputs)
        if told is None:
            raise InputError(
                f"--task {task.name}: needs pairs; give a .csv with the columns path, with and "
                'label, or .jsonl with lines {"text": ..., "with": ..., "label": "same"}'
            )
        task.kind.check(every_output(module, inputs), torch.stack(told))


def _fill_gallery(task: AgainstFloat, kind: Nearest, module: nn.Module, inputs: AllInputs) -> None:
    """With each example once, of which all that are alike to the byte are no neighbours."""
    if kind.file is not None:
        if not kind.known:
            raise InputError(f"--task {task.name}: the file was not read; let the kind be filled")
        return
    told = task.told(inputs)
    if kind.known and told is not None and all(one.numel() > 1 for one in told):
        return
    labels = (
        torch.stack([one.flatten()[0] for one in told])
        if told is not None and task.labelled
        else None
    )
    place_of = dict[bytes, int]()
    rows = [place_of.setdefault(row, len(place_of)) for row in every_digest(inputs)]
    first = torch.from_numpy(np.unique(rows, return_index=True)[1])
    vectors = every_output(module, part_of(inputs, first))
    kind.fill(vectors, None if labels is None else labels[first])
    groups = torch.full((len(rows),), -1.0) if labels is None else labels
    places = torch.tensor(rows, dtype=groups.dtype)
    task.tell(inputs, torch.stack([groups, places], 1), labelled=labels is not None)


def every_output(module: nn.Module, inputs: AllInputs) -> Tensor:
    """What the network gives for all examples, in parts."""
    parts = list(parts_alike(inputs, _AT_ONCE))
    with torch.no_grad():
        outputs = [output_of(module, unpadded(batch)) for batch in taken(inputs, parts)]
    return torch.cat(outputs)[torch.cat(parts).argsort()]
