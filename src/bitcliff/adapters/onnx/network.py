"""A graph of nodes as one PyTorch network."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import nullcontext
from typing import Any

from torch import Tensor, nn

from bitcliff.adapters.onnx.bodies import Done, Step, Values, run_bodies
from bitcliff.adapters.onnx.guard import LARGEST_HELD, SizeGuard, check_bytes
from bitcliff.adapters.onnx.names import free_name, plain_name
from bitcliff.adapters.onnx.operators.sizes import Sizes
from bitcliff.adapters.wording import listed, one_line, shortened
from bitcliff.errors import BitcliffError, InputError


class OnnxNetwork(nn.Module):
    """Runs the nodes in order. Constant inputs are buffers, weights are parameters of layers.
    Single and whole numbers, which sizes and indices are worked out from, are neither.

    The first pass is watched: a call that would take unreasonable memory is refused.

    Attributes:
        batch: how many examples the file declares that it takes; None: any number.
        alike: inputs that are one number for a whole batch. Here each example brings it.
        axes: where else than first the nodes want the batch, by input. It is given first.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        output: str,
        steps: Sequence[Step],
        modules: Mapping[str, nn.Module],
        constants: Mapping[str, Tensor],
        batch: int | None = None,
        alike: Collection[str] = (),
        axes: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.inputs: tuple[str, ...] = tuple(inputs)
        self.output, self.batch = output, batch
        self.alike, self.axes = frozenset(alike), dict(axes or {})
        self.steps: tuple[Step, ...] = tuple(steps)
        self.constants = nn.Module()
        self._constants: dict[str, str] = {}
        self._numbers: dict[str, Tensor] = {}
        for name, tensor in constants.items():
            if tensor.numel() == 1 or not tensor.is_floating_point():
                self._numbers[name] = tensor
                continue
            self._constants[name] = free_name(self.constants, plain_name(name))
            self.constants.register_buffer(self._constants[name], tensor)
        for path, module in modules.items():
            *outer, last = path.split(".")
            parent: nn.Module = self
            for part in outer:
                if part not in parent._modules:
                    parent.add_module(part, nn.Module())
                parent = parent.get_submodule(part)
            parent.add_module(last, module)
        self._done_with = _last_uses(self.steps)
        self._decided: Values = {}
        self._watched = False

    def forward(self, *inputs: Tensor) -> Any:
        """The output that is judged, of its inputs in order.

        Raises:
            InputError: a node fails; it is named. Or other inputs.
        """
        if len(inputs) != len(self.inputs):
            names = listed(map(shortened, self.inputs))
            raise InputError(f"takes {names}, each by its name")
        result = None
        try:
            with nullcontext() if self._watched else SizeGuard():
                for step, values in self.values(*inputs):
                    if self.output in step.outputs:
                        result = values[step.outputs.index(self.output)]
        except InputError as error:
            if self.batch in (None, len(inputs[0])):
                raise
            raise InputError(f"{error}; {fixed_batch_advice(self.batch)}") from error
        self._watched = True
        return result

    def in_order(self, named: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Inputs given by name, as the file orders them."""
        return tuple(named[name] for name in self.inputs if name in named)

    def values(self, *inputs: Tensor) -> Iterator[tuple[Step, tuple[Any, ...]]]:
        """Every node with what it gives, in order."""
        held: Values = dict(zip(self.inputs, inputs, strict=True)) | self._numbers
        held |= {name: held[name].flatten()[0] for name in self.alike}
        held |= {name: held[name].movedim(0, axis) for name, axis in self.axes.items()}
        held |= {name: getattr(self.constants, own) for name, own in self._constants.items()}
        own: Set[int] = frozenset()
        if not self._watched:  # Where it is traced, tensors have no address.
            own = _storages(held.values()).keys() - _storages(inputs).keys()
        modules = dict(self.named_modules())

        def run(steps: Iterable[Step], held: Values) -> Iterator[Done]:
            for step in steps:
                for done, results in self._done(step, modules, held, run):
                    if done is step:
                        held.update(zip(step.outputs, results, strict=False))
                        if not self._watched:
                            _check_held(step, held.values(), own)
                    yield done, results

        for step, done_with in zip(self.steps, self._done_with, strict=True):
            yield from run([step], held)
            for name in done_with:
                held.pop(name, None)

    def _done(self, step: Step, modules: Mapping[str, nn.Module], held: Values, run: Any) -> Any:
        """The step with its results, after those inside it."""
        if step.bodies:
            return run_bodies(step, held, run, self._decided)
        given = [held[name] if name else None for name in step.inputs]
        return iter([(step, _run(step, modules[step.path], given))])


def fixed_batch_advice(batch: int | None) -> str:
    """What to do about a file that takes no other number of examples."""
    return (
        f"its export fixed the batch at {batch}; export it with a dynamic one (dynamic_shapes or "
        "dynamic_axes of torch.onnx.export)"
    )


def _run(step: Step, module: nn.Module, given: Sequence[Tensor | Sizes | None]) -> tuple[Any, ...]:
    try:
        results = module(*given)
    except InputError as error:
        raise InputError(f"{step.title}: {error}") from error
    except BitcliffError:
        raise
    except Exception as error:
        raise InputError(f"{step.title} failed ({one_line(error)})") from error
    return results if isinstance(results, tuple) else (results,)


def _storages(values: Iterable[Any]) -> dict[int, int]:
    """The memory that tensors lie in: its size in bytes by its address."""
    storages = [value.untyped_storage() for value in values if isinstance(value, Tensor)]
    return {storage.data_ptr(): storage.nbytes() for storage in storages}


def _check_held(step: Step, held: Iterable[Any], own: Set[int]) -> None:
    """`own`: addresses of what the file itself holds, which is not made of any example."""
    made = _storages(held)
    try:
        check_bytes(sum(made[address] for address in made.keys() - own), LARGEST_HELD)
    except InputError as error:
        raise InputError(f"{step.title}: {error}") from error


def _last_uses(steps: Sequence[Step]) -> list[tuple[str, ...]]:
    """What nothing needs any more after each step."""
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        last |= dict.fromkeys((*step.outputs, *step.reads), index)
    done: list[list[str]] = [[] for _ in steps]
    for name, index in last.items():
        done[index].append(name)
    return [tuple(names) for names in done]
