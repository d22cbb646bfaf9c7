"""What a network is judged by, where nobody said."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.points.forward import batch_size, output_of, take
from bitcliff.tasks import Threshold, judge_as, task_of
from bitcliff.tasks.against_float import AgainstFloat, Comparison
from bitcliff.tasks.choice import read_task
from bitcliff.tasks.continuation import Continuation
from bitcliff.tasks.protocol import told_task
from bitcliff.types.subject import AllInputs

_AT_ONCE = 64


def judge_by(module: nn.Module, text: str) -> None:
    """Let a network be judged as `--task` says.

    Raises:
        InputError: no such task.
    """
    found = read_task(text)
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
    if isinstance(task, AgainstFloat) and not task.labelled:
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
    if told_task(module) is None:
        with torch.no_grad():
            find_one_score(module, output_of(module, take(inputs, torch.tensor([0]))))
    choose_threshold(module, inputs)


def find_one_score(module: nn.Module, output: Tensor) -> None:
    """The same, where it is known what the network gives for one example."""
    if told_task(module) is None and output.numel() == 1 and output.is_floating_point():
        judge_as(module, Threshold())


def choose_threshold(module: nn.Module, inputs: AllInputs) -> None:
    """Where a network is judged by one that nobody told: by what it gives for all examples."""
    task = task_of(module)
    if isinstance(task, Threshold) and task.at is None:
        with torch.no_grad():
            parts = torch.arange(batch_size(inputs)).split(_AT_ONCE)
            outputs = [output_of(module, take(inputs, part)).flatten() for part in parts]
        judge_as(module, task.chosen(torch.cat(outputs)))
