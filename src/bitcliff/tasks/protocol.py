"""The shape of a task, and where a network keeps its own."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from bitcliff.tasks.classification import Classification
from bitcliff.types.subject import Inputs

# Beside the module's own attributes, so that a copy of the module has it too.
_KEPT = "_bitcliff_task"
_PLAIN = Classification()


@runtime_checkable
class Task(Protocol):
    """From what a network gives to the scores of what it may decide; the largest is its decision.

    Whoever searches pushes the lead of one score over the others; so a score must have a gradient.
    """

    @property
    def name(self) -> str:
        """As `--task` takes it."""

    @property
    def words(self) -> str:
        """What a decision is, for people."""

    @property
    def decisions(self) -> tuple[str, ...] | None:
        """Their names, in the order of the scores; None: the model or the data may have some."""

    def scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch decisions"]:
        """Of the output that is judged, and what it was given for.

        Raises:
            InputError: such an output is not of this task.
        """

    def scores_before(self, given: Tensor, inputs: Inputs) -> Float[Tensor, "batch decisions"]:
        """The same decisions, of what the output's last softmax or sigmoid was given."""


def judge_as(module: nn.Module, task: Task) -> None:
    """Let a network be judged by this task from now on."""
    module.__dict__[_KEPT] = task


def task_of(module: nn.Module) -> Task:
    """What a network is judged by: its classes, unless something else was said or found."""
    return told_task(module) or _PLAIN


def told_task(module: nn.Module) -> Task | None:
    """What was said or found, if anything."""
    return module.__dict__.get(_KEPT)
