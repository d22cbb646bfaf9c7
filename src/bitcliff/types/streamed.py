"""Examples too many to be held in memory: read, some at a time, whenever they are needed."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from jaxtyping import Float32, Int
from torch import Tensor

# Read at once where nobody asks for a batch of a certain size.
_PART = 64


class Streamed:
    """Inputs (n, *shape) of n examples, of which none is kept.

    Args:
        read: the example at a place, (*shape) float32, always the same.
        places: of the n examples, as `read` knows them.
        shape: of one example.
        change: done to every batch that was read, to each example by itself.
    """

    def __init__(
        self,
        read: Callable[[int], Float32[Tensor, "*shape"]],
        places: Int[Tensor, " n"],
        shape: tuple[int, ...],
        change: Callable[[Tensor], Tensor] = lambda batch: batch,
    ) -> None:
        self._read, self._places, self._change = read, places, change
        self.shape: tuple[int, ...] = (len(places), *shape)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def described(self) -> Tensor:
        """A tensor of this type and shape which holds nothing."""
        return self._change(torch.empty(self.shape, device="meta"))

    def at(self, index: Int[Tensor, " chosen"]) -> Tensor:
        """The chosen examples, read by as many threads as there are processors."""
        return next(self.in_turn([index]))

    def in_turn(self, parts: Iterable[Int[Tensor, " _"]]) -> Iterator[Tensor]:
        """One batch after the other, the next one read while this one is used."""
        waiting = None
        for part in parts:
            reading = [_readers().submit(self._read, p) for p in self._places[part].tolist()]
            if waiting is not None:
                yield self._batch([one.result() for one in waiting])
            waiting = reading
        if waiting is not None:
            yield self._batch([one.result() for one in waiting])

    def in_parts(self) -> Iterator[Tensor]:
        """All of them, in order."""
        return self.in_turn(torch.arange(len(self)).split(_PART))

    def of(self, index: Int[Tensor, " chosen"]) -> "Streamed":
        """The chosen ones alone, not read yet."""
        return Streamed(self._read, self._places[index], self.shape[1:], self._change)

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Streamed":
        """The same, each batch changed once it was read; `change` leaves their shape alone."""
        before = self._change
        return Streamed(
            self._read, self._places, self.shape[1:], lambda batch: change(before(batch))
        )

    def _batch(self, examples: list[Tensor]) -> Tensor:
        return self._change(torch.stack(examples))


@cache
def _readers() -> ThreadPoolExecutor:
    """Threads: what decodes and resizes images lets others run meanwhile."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="read")
