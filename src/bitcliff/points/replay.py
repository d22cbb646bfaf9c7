"""Running a network again without working out anew what came out the same before."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from bitcliff.points.attach import Attachment, Rounding
from bitcliff.points.operations import Function, Operation
from bitcliff.points.trace import is_wrapped


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


@dataclass
class Tape:
    """What the watched calls of one pass over one batch gave, by site."""

    active: frozenset[int] = frozenset()
    kept: dict[str, _Kept] = field(default_factory=dict)


@dataclass
class Work:
    """Watched calls that ran, not replayed, and their multiply-adds, one example."""

    calls: int = 0
    macs: int = 0


class ReplayingAttachment(Attachment):
    """Takes what a call gave from a tape, up to the first point where the tape was quantized
    otherwise; from there on everything is worked out.

    The tape must be of the same batch and bits. What lies between watched calls always runs.
    Weights are rounded alike in all passes, or as the points of their calls are. For
    evaluation: a replayed call has no gradient.

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
        self._playing: Tape | None = None
        self._recording: Tape | None = None
        self.work = Work()
        self._macs = {point.site: point.macs for point in self.plan.seen}
        self._is_same = False

    @contextmanager
    def recorded(self) -> Iterator[Tape]:
        """The pass made inside goes on the tape; of several, the last."""
        self._recording = tape = Tape()
        try:
            yield tape
        finally:
            self._recording = None

    @contextmanager
    def replayed(self, tape: Tape) -> Iterator[None]:
        """Passes made inside take from the tape what they can."""
        self._playing = tape
        try:
            yield
        finally:
            self._playing = None

    def _active(self, rounding: Rounding) -> frozenset[int]:
        if rounding.bits is None:
            return frozenset()
        return frozenset(range(len(self.plan))) if rounding.active is None else rounding.active

    def on_forward(self) -> None:
        super().on_forward()
        self._is_same = self._playing is not None
        if self._recording is not None:
            self._recording.active = self._active(self.rounding)
            self._recording.kept.clear()

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
        if self._recording is not None:
            failed = {e: p for e, p in self.incidents.failed.items() if e not in before}
            self._keep(self._recording, site, _Kept(result, _written(result, args, kwargs), failed))
        return result

    def _kept(self, site: str) -> _Kept | None:
        """What the tape has of this call, if nothing before it or in it is otherwise."""
        if self._playing is None or not self._is_same:
            return None
        differing = self._playing.active ^ self._active(self.rounding)
        self._is_same = differing.isdisjoint(self._points.get(site, ()))
        return self._playing.kept.get(site) if self._is_same else None

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
    def _keep(tape: Tape, site: str, given: _Kept) -> None:
        """Keep what a call gave, if a copy can stand for it."""
        if is_wrapped(given.result):
            return
        copy = given.result.detach().clone()
        # Another layout in memory may lead to other kernels, which round otherwise.
        if type(copy) is type(given.result) and copy.stride() == given.result.stride():
            tape.kept[site] = replace(given, result=copy)


def _written(result: Tensor, args: Any, kwargs: Any) -> int | None:
    leaves = tree_leaves((args, kwargs))
    return next((index for index, leaf in enumerate(leaves) if leaf is result), None)
