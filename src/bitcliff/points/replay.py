"""Running a network again without working out anew what came out the same before."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from bitcliff.points.attach import FLOAT, Attachment, Rounding
from bitcliff.points.final_activation import FinalActivation
from bitcliff.points.operations import Function, Operation
from bitcliff.points.trace import is_wrapped

# Bytes that the results of one pass may take; what comes later in the network is run again.
_ROOM = 2**31


@dataclass(frozen=True)
class _Kept:
    """What a call gave.

    Attributes:
        result: on a tape, a copy that nobody else holds.
        written: which of the call's arguments the result was written over, if any.
        failed: the examples whose first NaN or infinity showed here, and at which point.
    """

    result: Tensor
    written: int | None
    failed: dict[int, str]

    @property
    def size(self) -> int:
        """In bytes."""
        return self.result.nbytes


@dataclass
class Work:
    """Watched calls that ran, not replayed, and their multiply-adds, one example."""

    calls: int = 0
    macs: int = 0


@dataclass
class _Tape:
    """What the watched calls of the last pass gave, by site."""

    rounding: Rounding
    kept: dict[str, _Kept] = field(default_factory=dict)
    room: int = field(default_factory=lambda: _ROOM)


class ReplayingAttachment(Attachment):
    """Takes what a call gave from the pass before, up to the first point that was quantized
    otherwise there; from there on everything is worked out.

    What lies between watched calls always runs. For evaluation: a replayed call has no gradient.

    Attributes:
        work: counted over all passes.
    """

    def __init__(self, like: Attachment) -> None:
        super().__init__(
            like.model,
            like.plan,
            like.scheme,
            like.weight_bits,
            like.per_channel,
            like.in_training,
            like.per_row,
            like.weights_by_point,
        )
        self.final: FinalActivation = like.final
        self._weights = like._weights  # rounded once for both
        self._before: _Tape | None = None
        self._tape: _Tape | None = None
        self.work: Work = Work()
        self._macs = {point.site: point.macs for point in self.plan.seen}
        self._differing: frozenset[int] = frozenset()
        self._is_same = False

    @contextmanager
    def one_batch(self) -> Iterator[None]:
        """Passes made inside are all over one batch: each is kept for the next to begin with."""
        self._tape = _Tape(FLOAT)
        try:
            yield
        finally:
            self._tape = self._before = None

    def on_forward(self) -> None:
        super().on_forward()
        if self._tape is not None:
            self._before, self._tape = self._tape, _Tape(self.rounding)
            differing = _differing(self._before.rounding, self.rounding)
            self._is_same = differing is not None
            self._differing = differing or frozenset()

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        kept = self._kept(site)
        if kept is not None:
            self._note_stray(site, operation)
            return self._replayed(kept, args, kwargs)
        self.work.calls += 1
        self.work.macs += self._macs.get(site, 0)
        before = set(self.incidents.failed)
        result = super().on_call(site, function, operation, args, kwargs)
        if self._tape is not None:
            failed = {e: p for e, p in self.incidents.failed.items() if e not in before}
            self._keep(self._tape, site, _Kept(result, _written(result, args, kwargs), failed))
        return result

    def _kept(self, site: str) -> _Kept | None:
        """What the pass before has of this call, if nothing before it or in it is otherwise."""
        if self._tape is None or self._before is None:
            return None
        if self._is_same and not self._differing.isdisjoint(self._points.get(site, ())):
            self._is_same = False
        if not self._is_same:
            self._before.kept.clear()  # for the memory's sake
            return None
        kept = self._before.kept.pop(site, None)
        if kept is not None:
            self._tape.room -= kept.size
            self._tape.kept[site] = kept
        return kept

    def _replayed(self, kept: _Kept, args: Any, kwargs: Any) -> Tensor:
        for example, point in kept.failed.items():
            self.incidents.failed.setdefault(example, point)
        if kept.written is not None:
            # Whoever else holds the tensor must see what was written over it.
            written: Tensor = tree_leaves((args, kwargs))[kept.written]
            return written.copy_(kept.result)
        # A copy, since the network may go on to work in place.
        return kept.result.clone()

    @staticmethod
    def _keep(tape: _Tape, site: str, given: _Kept) -> None:
        """Keep what a call gave, if a copy can stand for it."""
        if is_wrapped(given.result) or given.size > tape.room:
            return
        copy = given.result.detach().clone()
        # Another layout in memory may lead to other kernels, which round otherwise.
        if type(copy) is type(given.result) and copy.stride() == given.result.stride():
            tape.kept[site] = replace(given, result=copy)
            tape.room -= given.size


def _written(result: Tensor, args: Any, kwargs: Any) -> int | None:
    leaves = tree_leaves((args, kwargs))
    return next((index for index, leaf in enumerate(leaves) if leaf is result), None)


def _differing(one: Rounding, other: Rounding) -> frozenset[int] | None:
    """The points that two passes quantize otherwise; None: all that there is may be otherwise."""
    if one.weights != other.weights or one.choice or other.choice:
        return None
    if one.formats is not None and other.formats is not None:
        pairs = zip(one.formats, other.formats, strict=True)
        return frozenset(at for at, (first, second) in enumerate(pairs) if first != second)
    if one.bits is None or other.bits is None or one.bits.shape != other.bits.shape:
        return None
    everywhere = frozenset(range(one.bits.shape[1]))
    first, second = (everywhere if r.active is None else r.active for r in (one, other))
    changed = (one.bits != other.bits).any(0).nonzero().flatten().tolist()
    return (first ^ second) | (first & second & frozenset(changed))
