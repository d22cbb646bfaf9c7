"""Which examples of a batch each value of a forward pass was made of.

Every kernel is seen as it runs, and of each of its results it is noted which examples' values it
may have read: never too few. Kernels that are not known are taken to mix all that they are given.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves

from bitcliff.points.dispatch_mode import DispatchMode
from bitcliff.points.owner_rules import FRESH, OVERWRITES, READS, decides_a_size, rule_for

Ends = tuple[Tensor, Tensor]
"""Of each value the first and the last example in it: batch - first, and last + 1; 0: of none.

Both so that what two values make together has the larger, and a filler of zeros is nobody's.
"""

_HELD = 256  # So many dead storages may be kept before they are let go.


class Owners(DispatchMode):
    """Follows the values of a batch through all kernels while it is active.

    Notes lie beside storages, not tensors: views need no care, whoever writes through them.

    Attributes:
        batch: how many examples there are.
        lost: in words, what could not be followed; whatever else was found is then no proof.
        unknown: kernels that were taken to mix all they are given.
        mixing: the first kernel that made one value of several examples, and where; empty: none.
    """

    supports_higher_order_operators = True

    def __init__(self, batch: int, constants: Iterable[Tensor] = ()) -> None:
        """`constants`: what outlives the pass; no example may be written into it."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch = batch
        self.lost: list[str] = []
        self.unknown: set[str] = set()
        self.mixing = ""
        self.where: Callable[[], str] = lambda: ""
        self._constants = {_storage(tensor) for tensor in constants}
        self._notes: dict[StorageWeakRef, tuple[int, Ends]] = {}

    def mark(self, inputs: Iterable[Tensor]) -> None:
        """Each tensor's first dimension is that of the examples."""
        for tensor in inputs:
            place = torch.arange(self.batch, dtype=torch.float32, device="cpu")
            shape = (self.batch, *[1] * (tensor.ndim - 1))
            low, high = (
                end.view(shape).expand(tensor.shape) for end in (self.batch - place, place + 1)
            )
            self._note(tensor, (low, high))

    def of(self, tensor: Tensor) -> Ends | None:
        """What is known of a tensor's values; None: no example is in any of them."""
        found = self._notes.get(_storage(tensor))
        if found is None:
            return None
        size, ends = found
        if size != tensor.element_size():  # read as another type: all may be in all
            return _spread(ends, tensor.shape)
        shape, stride, offset = tensor.shape, tensor.stride(), tensor.storage_offset()
        low, high = (end.as_strided(shape, stride, offset) for end in ends)
        return low, high

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if not isinstance(func, torch._ops.OpOverload):
            self.lose(f"{func.name()} runs functions of its own")
            return func(*args, **kwargs)
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(tensor.layout != torch.strided or tensor.is_quantized for tensor in given):
            self.lose(f"{func} works on tensors that are not plain")
            return func(*args, **kwargs)
        with self:
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        # Before it runs: it may write into what it is given.
        before = {id(tensor): self.of(tensor) for tensor in given}
        known = {key: ends for key, ends in before.items() if ends is not None}
        result = func(*args, **kwargs)
        self._follow(func, args, kwargs, given, known, result)
        return result

    def _follow(
        self, func: Any, args: Any, kwargs: Any, given: list[Tensor], known: Any, result: Any
    ) -> None:
        name = func._overloadpacket.__name__
        reads = name in READS and any(_touched(ends) for ends in known.values())
        if reads or decides_a_size(name, args, {key: ends[1] for key, ends in known.items()}):
            self.lose(f"{name}: the network reads a value and may go on by it")
        written = [tensor for tensor in _written(func, args, kwargs) if isinstance(tensor, Tensor)]
        shared = {_storage(tensor) for tensor in given}
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        fresh = [tensor for tensor in made if _storage(tensor) not in shared]
        if not known and not written:
            return
        if name in OVERWRITES and not any(one is args[0] for one in args[1:]):
            known = {key: ends for key, ends in known.items() if key != id(args[0])}
        rule = None if name in FRESH else rule_for(func, name)
        apart = not self.mixing and not any(bool(self.mixed(ends).any()) for ends in known.values())
        for tensor in [*written, *fresh]:
            ends = self._made(name, rule, args, kwargs, known, tensor, made)
            if apart and ends is not None and bool(self.mixed(ends).any()):
                taken = ", which is not known and taken to mix all" if name in self.unknown else ""
                self.mixing = f"{self.where() or 'the network'}: {name}{taken}"
            self._note(tensor, ends)

    def mixed(self, ends: Ends) -> Tensor:
        """Which values are made of two examples or more."""
        low, high = ends
        return (high > 0) & (low + high != self.batch + 1)

    def _made(
        self, name: str, rule: Any, args: Any, kwargs: Any, known: Any, tensor: Tensor, made: Any
    ) -> Ends | None:
        """What a kernel's result is made of."""
        if not known or name in FRESH:
            return None
        number = next((i for i, one in enumerate(made) if one is tensor), 0)
        if rule is not None:
            found = []
            for end in (0, 1):
                ends = {key: pair[end] for key, pair in known.items()}
                try:
                    one = rule(args, kwargs, ends, tensor.shape, number)
                except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError):
                    one = None
                if one is None or one.shape != tensor.shape:
                    break
                found.append(one)
            else:
                return found[0], found[1]
        if not number:
            self.unknown.add(name)
        lows, highs = zip(*known.values(), strict=True)
        return _spread((_largest(lows), _largest(highs)), tensor.shape)

    def _note(self, tensor: Tensor, ends: Ends | None) -> None:
        key = _storage(tensor)
        if key in self._constants:
            if ends is not None and _touched(ends):
                self.lose("values of examples are written into what the network keeps")
            return
        found = self._notes.get(key)
        size, notes = (0, None) if found is None else found
        if (ends is None and notes is None) or not tensor.numel():
            return
        if notes is None or size != tensor.element_size():
            notes = self._anew(tensor, notes)
            self._notes[key] = (tensor.element_size(), notes)
        shape, stride, offset = tensor.shape, tensor.stride(), tensor.storage_offset()
        for place, note in enumerate(notes):
            view = note.as_strided(shape, stride, offset)
            view.zero_() if ends is None else view.copy_(ends[place])

    def _anew(self, tensor: Tensor, notes: Ends | None) -> Ends:
        """For a whole storage; of what was read as another type before, all may be in all."""
        self._let_go()
        length = torch.Size([tensor.untyped_storage().nbytes() // tensor.element_size()])
        if notes is None:
            return torch.zeros(length), torch.zeros(length)
        low, high = _spread(notes, length)
        return low.clone(), high.clone()

    def _let_go(self) -> None:
        if len(self._notes) > _HELD:
            self._notes = {key: note for key, note in self._notes.items() if not key.expired()}

    def lose(self, why: str) -> None:
        """Note that something was not followed, and where."""
        told = f"{self.where() or 'the network'}: {why}"
        if told not in self.lost:
            self.lost.append(told)


def _storage(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())


def _written(func: Any, args: Any, kwargs: Any) -> Iterator[Any]:
    """The arguments that a kernel writes into."""
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            found = args[place] if place < len(args) else kwargs.get(argument.name)
            yield from found if isinstance(found, list | tuple) else (found,)


def _touched(ends: Ends) -> bool:
    return bool(ends[1].any())


def _largest(many: Iterable[Tensor]) -> Tensor:
    found = [one.amax() for one in many if one.numel()]
    return torch.stack(found).amax() if found else torch.zeros(())


def _spread(ends: Ends, shape: torch.Size) -> Ends:
    low, high = (_largest([end]).expand(shape) for end in ends)
    return low, high
