"""`If` and `Loop`: nodes that run other nodes, as often as what no example can change says."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bitcliff.adapters.onnx.operators.sizes import number
from bitcliff.errors import InputError

CONTROL: dict[str, tuple[str, ...]] = {"If": ("then_branch", "else_branch"), "Loop": ("body",)}
"""The operators that run other nodes, and the attributes that hold those."""

# Each time is run, and each product in it is a point; more is a program and no layer.
_MOST_TIMES = 4096


@dataclass(frozen=True)
class Step:
    """A node and what it reads and makes.

    Attributes:
        title: the node in words, for errors. path: of its module in the network; empty for one that
            runs other nodes.
        inputs: names of values; empty for one that is left out. outputs: of what it makes.
        bodies: of an `If`: what runs where its input is true, and where it is not; of a `Loop`:
            what it repeats.
    """

    title: str
    path: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    bodies: tuple["Body", ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """All values that it reads, also inside."""
        return (*self.inputs, *(name for body in self.bodies for name in body.reads))


@dataclass(frozen=True)
class Body:
    """Nodes that another node runs. What they make has names that no other value has.

    Attributes:
        inputs: names of what a `Loop` gives them. outputs: of what is taken from them.
    """

    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """All values that are read in it."""
        return (*self.outputs, *(name for step in self.steps for name in step.reads))

    @property
    def makes(self) -> tuple[str, ...]:
        """What it is given, and what its own steps make."""
        return (*self.inputs, *(name for step in self.steps for name in step.outputs))


Values = dict[str, Any]
Done = tuple[Step, tuple[Any, ...]]
Run = Callable[[Sequence[Step], Values], Iterator[Done]]


def run_bodies(step: Step, held: Values, run: Run, decided: Values) -> Iterator[Done]:
    """The nodes that an `If` or a `Loop` runs, then itself with what it gives.

    Args:
        held: all values by their names; what only the bodies make is taken out again.
        decided: conditions and counts by their names, kept from pass to pass: where the network is
            traced, no tensor tells its value, and those of the pass before are taken.

    Raises:
        InputError: its condition is not one value, or a loop would not end.
    """

    def one(name: str) -> Any:
        if not (torch.compiler.is_exporting() and name in decided):
            decided[name] = _one(step, held[name])
        return decided[name]

    results = yield from (_branch if len(step.bodies) > 1 else _repeated)(step, held, run, one)
    for name in {name for body in step.bodies for name in body.makes}:
        held.pop(name, None)
    yield step, results


def _branch(step: Step, held: Values, run: Run, one: Callable[[str], Any]) -> Any:
    body = step.bodies[0 if one(step.inputs[0]) else 1]
    yield from run(body.steps, held)
    return tuple(held[name] for name in body.outputs)


def _repeated(step: Step, held: Values, run: Run, one: Callable[[str], Any]) -> Any:
    """Of a loop: what it hands on, then what each time gave, one after the other."""
    (body,) = step.bodies
    times, condition, *rest = step.inputs
    carried = [held[name] for name in rest]
    most, goes_on, count = int(one(times)) if times else None, not condition or one(condition), 0
    given: list[tuple[Any, ...]] = []
    while goes_on and (most is None or count < most):
        if count == _MOST_TIMES:
            raise InputError(f"{step.title}: runs more than {_MOST_TIMES} times")
        given_now = (torch.tensor(count), torch.tensor(True), *carried)
        held.update(zip(body.inputs, given_now, strict=True))
        yield from run(body.steps, held)
        more, *results = (held[name] for name in body.outputs)
        carried, count = results[: len(carried)], count + 1
        given.append(tuple(results[len(carried) :]))
        goes_on = _one(step, more)
    if not given and len(body.outputs) > 1 + len(carried):
        raise InputError(f"{step.title}: runs not once, so that what it collects has no shape")
    return (*carried, *(torch.stack(each) for each in zip(*given, strict=True)))


def _one(step: Step, value: Any) -> Any:
    try:
        return number(value)
    except ValueError as error:
        raise InputError(f"{step.title}: its condition or count is not one value") from error
