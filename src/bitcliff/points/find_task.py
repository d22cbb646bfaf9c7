"""What a network is judged by, where nobody said."""

import torch
from torch import Tensor, nn

from bitcliff.points.forward import batch_size, output_of, take
from bitcliff.tasks import Threshold, judge_as, task_of
from bitcliff.tasks.protocol import told_task
from bitcliff.types.subject import Inputs

_AT_ONCE = 64


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
