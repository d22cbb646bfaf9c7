"""How many decisions a model chooses among, found by running it once."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from bitcliff.adapters.optional import quiet
from bitcliff.adapters.user_code import described
from bitcliff.adapters.wording import one_line, told_of
from bitcliff.errors import InputError
from bitcliff.points.find_task import find_one_score, first_output
from bitcliff.points.forward import take
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.classification import other_task
from bitcliff.tasks.neighbours import Nearest
from bitcliff.types.subject import Inputs, Preprocessing, Subject


def output_count(subject: Subject, example_inputs: Inputs) -> int:
    """Runs the model on the first example and counts its scores.

    One that is found to give a single score is judged by a threshold from then on.

    Args:
        example_inputs: at least one example, as the model takes them.

    Raises:
        InputError: the model does not accept such inputs, or gives no logits (batch, classes >= 2).
    """
    first = take(example_inputs, torch.tensor([0]))
    output = example_output(subject, first)
    try:
        with torch.no_grad(), quiet():
            find_one_score(subject.module, output)
            logits = task_of(subject.module).scores(output, first)
    except InputError as error:
        raise InputError(told_of(subject.name, error)) from error
    except Exception as error:  # of a task of the user's own
        raise InputError(
            f"--task {task_of(subject.module).name}: fails at an output of shape "
            f"{tuple(output.shape)}: {described(error)}"
        ) from error
    if logits.ndim != 2 or logits.shape[0] != 1:
        got = tuple(logits.shape)
        raise InputError(f"{subject.name}: gives {got} for one example, not logits (1, classes)")
    if logits.shape[1] < 2:
        raise InputError(f"{subject.name}: gives {other_task(logits.shape)}")
    return logits.shape[1]


def example_output(subject: Subject, example_inputs: Inputs) -> Tensor:
    """What the model gives for the first example.

    Raises:
        InputError: it does not accept such inputs.
    """
    first = take(example_inputs, torch.tensor([0]))
    try:
        with torch.no_grad(), quiet():
            return first_output(subject.module, first)
    except InputError as error:
        raise InputError(told_of(subject.name, error)) from error
    except Exception as error:
        named = {"": first} if isinstance(first, Tensor) else first
        shapes = {name: tuple(values.shape[1:]) for name, values in named.items()}
        raise InputError(
            f"{subject.name}: does not accept inputs of shape {shapes.get('', shapes)} "
            f"({one_line(error)})"
        ) from error


def class_count(
    subject: Subject, names: Collection[str], counted: Callable[[], int]
) -> Callable[[], int]:
    """What counts the classes that the names in the data may be of: the model's decisions, as
    `counted` has them, but as many as there are names where a class is who one's neighbours are."""
    task = task_of(subject.module)
    free = isinstance(task, AgainstFloat) and isinstance(task.kind, Nearest)
    return (lambda: len(names)) if free else counted


def image_output_count(subject: Subject, preprocessing: Preprocessing) -> int:
    """`output_count` on a black image of the model's own size."""
    return output_count(subject, torch.zeros(1, *preprocessing.shape))
