"""Which of a network's outputs is the one that is judged: its class scores."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.tasks.classification import other_task

_USUAL_NAMES = ("logits", "scores", "probabilities", "probs")
# Beside the module's own attributes, so that a copy of the module has it too.
_MOVED = "_bitcliff_moved_output"


@dataclass(frozen=True)
class Output:
    """One of a network's outputs.

    Attributes:
        shape: batch first; a name or None for a size that is left open. None: nothing is known.
        is_float: its values are floating-point numbers.
    """

    shape: tuple[int | str | None, ...] | None
    is_float: bool

    @property
    def could_be_scores(self) -> bool:
        """Whether it may be (batch, classes), two classes or more; axes of size 1 may follow."""
        if not self.is_float or self.shape is None:
            return self.is_float
        many = len(self.shape) >= 2 and self.shape[1] != 1
        return many and all(size == 1 for size in self.shape[2:])

    @property
    def is_one_number(self) -> bool:
        """Whether it is one number an example."""
        known = self.is_float and bool(self.shape)
        return known and all(size == 1 for size in (self.shape or ())[1:])

    def __str__(self) -> str:
        if self.shape is None:
            return "of any shape"
        sizes = ["batch", *("any" if size is None else str(size) for size in self.shape[1:])]
        return f"({', '.join(sizes)})" if self.shape else "one number"


def chosen_output(
    outputs: Mapping[str, Output], asked: str | None = None, has_task: bool = False
) -> str:
    """The name of the output that is judged.

    Without `asked` it is the only one, or the only one that could be class scores, or of several
    such the one whose name says so.

    Args:
        asked: a name, or a number from 0. has_task: what a decision is was said, so that, where
            none could be class scores, it is the only one with one number an example.

    Raises:
        InputError: there is none, or several could be meant; the text lists them.
    """
    names = list(outputs)
    if asked is not None:
        if asked in outputs:
            return asked
        if asked.isdecimal() and int(asked) < len(names):
            return names[int(asked)]
        raise InputError(f"no output {asked}; it has {', '.join(names)}")
    if len(names) == 1:
        return names[0]
    fitting = [name for name in names if outputs[name].could_be_scores]
    named = [name for name in fitting if name.lower() in _USUAL_NAMES]
    chosen = named if len(named) == 1 else fitting
    if has_task and not fitting:
        chosen = [name for name in names if outputs[name].is_one_number]
    if len(chosen) == 1:
        return chosen[0]
    listed = with_shapes(outputs, fitting or names)
    if not fitting:
        first = outputs[names[0]]
        meant = other_task(first.shape) if first.is_float and first.shape else ""
        told = f"{names[0]} is {meant}. It has " if meant else ""
        raise InputError(f"none of its outputs is class scores (batch, classes): {told}{listed}")
    raise InputError(
        f"{len(fitting)} of its outputs could be the class scores, {listed}: "
        f"say which, for instance --output {fitting[-1]}"
    )


def with_shapes(outputs: Mapping[str, Output], names: Iterable[str]) -> str:
    """ "features (batch, 32), logits (batch, 10)"."""
    return ", ".join(f"{name} {outputs[name]}" for name in names)


def named_outputs(output: Any) -> dict[str, Tensor]:
    """The tensors that a network gave, by name, or by number from 0 where they have none.

    Mappings, dataclasses, named tuples, tuples, lists and objects with `logits` are opened;
    whatever in them is no tensor is left out.
    """
    named: Mapping[Any, Any]
    if isinstance(output, Tensor):
        named = {0: output}
    elif isinstance(output, Mapping):
        named = output
    elif is_dataclass(output):
        named = {field.name: getattr(output, field.name) for field in fields(output)}
    elif isinstance(output, Sequence) and not isinstance(output, str):
        named = dict(zip(getattr(output, "_fields", range(len(output))), output, strict=True))
    else:
        named = {"logits": getattr(output, "logits", None)}
    return {str(name): value for name, value in named.items() if isinstance(value, Tensor)}


def judged_output(output: Any, asked: str | None = None) -> Tensor:
    """The tensor that is judged, in what a network gave.

    Raises:
        InputError: there is none, or several could be meant.
    """
    named = named_outputs(output)
    if not named:
        raise InputError("the model must give class scores (batch, classes), but gave no tensor")
    return named[chosen_output(described(named), asked)]


@dataclass(frozen=True)
class Moved:
    """Where the examples lie in the output that is judged, if not along its first axis.

    Attributes:
        axis: of the examples. ndim: how many axes there are.
    """

    axis: int
    ndim: int


def keep_moved(module: nn.Module, moved: Moved) -> None:
    """Let a network's output be read so from now on: its examples first."""
    module.__dict__[_MOVED] = moved


def moved_of(module: nn.Module) -> Moved | None:
    """None: the examples come first."""
    return module.__dict__.get(_MOVED)


def examples_first(output: Tensor, moved: Moved | None) -> Tensor:
    """The same output with its examples along the first axis."""
    return output if moved is None else output.movedim(moved.axis, 0)


def find_moved(one: Tensor, run: Callable[[int], Tensor], batch: int | None = None) -> Moved | None:
    """Where else than first the examples lie in an output: along the only axis that grows with
    them, as in the frames of a recogniser (frames, batch, symbols).

    Args:
        one: what the network gives for one example. run: from a number of examples to its output.
        batch: the only number of examples that it takes; where that is 1, all of the output is that
            example's, and its axis the only one of size 1.

    Returns:
        None: the first, or it cannot be told.
    """
    if one.ndim < 2 or one.shape[0] == 1:
        return None
    axes = [axis for axis, size in enumerate(one.shape) if size == 1]
    if axes and batch != 1:
        two = run(2).shape
        axes = [axis for axis in axes if two == (*one.shape[:axis], 2, *one.shape[axis + 1 :])]
    return Moved(axes[0], one.ndim) if len(axes) == 1 else None


def described(outputs: Mapping[str, Tensor]) -> dict[str, Output]:
    """What is known of tensors."""
    return {
        name: Output(tuple(tensor.shape), tensor.is_floating_point())
        for name, tensor in outputs.items()
    }


def give_only(module: nn.Module, asked: str) -> None:
    """Let every call of the module give one of its outputs alone.

    A hook and no module around it: layers keep their names.
    """

    def pick(_module: nn.Module, _args: Any, output: Any) -> Tensor:
        return judged_output(output, asked)

    module.register_forward_hook(pick)
