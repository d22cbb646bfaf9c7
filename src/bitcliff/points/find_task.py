"""What a network is judged by, where nobody said."""

from functools import partial

import torch
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.points.forward import batch_size, output_of, take
from bitcliff.tasks import Threshold, judge_as, task_of
from bitcliff.tasks.against_float import AgainstFloat, Comparison
from bitcliff.tasks.choice import read_task
from bitcliff.tasks.protocol import told_task
from bitcliff.types.subject import Inputs

_AT_ONCE = 64


def judge_by(module: nn.Module, text: str) -> None:
    """Let a network be judged as `--task` says.

    Raises:
        InputError: no such task.
    """
    found = read_task(text)
    if isinstance(found, Comparison):
        found = AgainstFloat(found, partial(output_of, module))
    judge_as(module, found)


def refuse_labels(module: nn.Module, data: str) -> None:
    """For labelled data.

    Raises:
        InputError: the network is compared with itself in float.
    """
    task = task_of(module)
    if isinstance(task, AgainstFloat):
        raise InputError(
            f"{data}: --task {task.name} compares with what float gives, and not with labels; "
            "leave them out (a folder of the images alone, a .npz without y)"
        )


def is_one_score(output: Tensor) -> bool:
    """Of one example: a single number and not one for each class."""
    return output.numel() == 1 and output.is_floating_point()


def find_task(module: nn.Module, inputs: Inputs) -> None:
    """Let a network that gives one score be judged by it, and choose a threshold if none is told.

    Args:
        inputs: all examples.
    """
    with torch.no_grad():
        if told_task(module) is None and is_one_score(
            output_of(module, take(inputs, torch.tensor([0])))
        ):
            judge_as(module, Threshold())
        task = task_of(module)
        if isinstance(task, Threshold) and task.at is None:
            parts = torch.arange(batch_size(inputs)).split(_AT_ONCE)
            outputs = [output_of(module, take(inputs, part)).flatten() for part in parts]
            judge_as(module, task.chosen(torch.cat(outputs)))
