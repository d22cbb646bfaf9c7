"""Batches shared out among workers that may be slow, or die: every batch is answered, once, in
order, whoever ran it."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol, runtime_checkable

from bitcliff.errors import InputError
from bitcliff.sweep.shards.worker import failure_in

# So many times as long as the median a batch may take before an idle worker is given it too.
_STRAGGLES = 4.0
_AT_LEAST = 0.5  # seconds, below which nobody straggles
_TICK = 0.25  # seconds between looks for stragglers
# Workers that one batch may cost, or that may die one after the other before one is ready.
_DEATHS = 3
_REMEMBERED = 50  # durations that the median is of


@runtime_checkable
class Workers(Protocol):
    """Processes or actors, by numbers that are not used again."""

    def start(self, greeting: bytes) -> int:
        """Begin one, which answers the greeting once it is ready."""

    def ask(self, worker: int, request: bytes) -> None:
        """Send one that has answered another request."""

    def wait(self, patience: float) -> Sequence[tuple[int, bytes | str]]:
        """Answers, of a worker that died how; waits for one, at most so many seconds."""

    def stop(self) -> None:
        """End all."""


@dataclass
class _Busy:
    """What a worker is at: a batch of a call, by both their numbers; None: getting ready."""

    key: tuple[int, int] | None
    since: float


@dataclass
class Farm:
    """Runs requests on workers.

    Attributes:
        workers: begins and asks them. greeting: of each. count: how many there are to be.
        again: how often a batch was begun again, after a death or beside a straggler.
        clock: seconds.
    """

    workers: Workers
    greeting: bytes
    count: int
    again: int = 0
    clock: Callable[[], float] = time.monotonic
    _busy: dict[int, _Busy] = field(default_factory=dict)
    _idle: deque[int] = field(default_factory=deque)
    _call: int = 0
    _deaths: Counter[tuple[int, int] | None] = field(default_factory=Counter)
    _took: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    @property
    def ready(self) -> int:
        """How many workers are prepared, as far as was noticed."""
        return len(self._idle) + sum(one.key is not None for one in self._busy.values())

    def open(self) -> None:
        """Begin the workers; they get ready while the driver goes on."""
        for _ in range(self.count):
            self._start()

    def run(self, requests: Iterable[bytes]) -> Iterator[bytes]:
        """The answer to each, in order, each as soon as those before it are there.

        Raises:
            InputError: a worker says why it cannot go on, or workers die again and again.
        """
        self._call += 1
        call = _Call(self._call, iter(requests))
        while True:
            self._share_out(call)
            yield from call.in_order()
            if call.done:
                return
            for worker, answer in self.workers.wait(_TICK):
                self._take(call, worker, answer)

    def _share_out(self, call: "_Call") -> None:
        while self._idle:
            number = call.next()
            if number is None:
                number = self._straggler(call)
            if number is None:
                return
            worker = self._idle.popleft()
            self._busy[worker] = _Busy((call.number, number), self.clock())
            self.workers.ask(worker, call.sent[number])

    def _straggler(self, call: "_Call") -> int | None:
        """The batch that has been run for the longest, where it takes far longer than others do and
        one worker alone is at it."""
        if not self._took:
            return None
        patience, now = max(_AT_LEAST, _STRAGGLES * median(self._took)), self.clock()
        at = Counter(one.key for one in self._busy.values())
        late = [
            (one.since, one.key[1])
            for one in self._busy.values()
            if one.key is not None
            and one.key[0] == call.number
            and one.key[1] in call.sent
            and at[one.key] == 1
            and now - one.since > patience
        ]
        if not late:
            return None
        self.again += 1
        return min(late)[1]

    def _take(self, call: "_Call", worker: int, answer: bytes | str) -> None:
        was = self._busy.pop(worker)
        if isinstance(answer, str):
            self._bury(call, was, answer)
            return
        if (error := failure_in(answer)) is not None:
            raise InputError(error)
        self._idle.append(worker)
        if was.key is None:
            self._deaths[None] = 0
            return
        self._took.append(self.clock() - was.since)
        if was.key[0] == call.number:  # else of an earlier call, answered by another worker
            call.answer(was.key[1], answer)

    def _bury(self, call: "_Call", was: _Busy, how: str) -> None:
        self._deaths[was.key] += 1
        if self._deaths[was.key] >= _DEATHS:
            what = "getting ready" if was.key is None else "at the same batch"
            raise InputError(
                f"{_DEATHS} workers died {what}, the last by {how}; if that is for want of memory, "
                "give fewer --workers or a smaller --batch-size"
            )
        if was.key is not None and was.key[0] == call.number and was.key[1] in call.sent:
            self.again += 1
            call.waiting.appendleft(was.key[1])
        self._start()

    def _start(self) -> None:
        self._busy[self.workers.start(self.greeting)] = _Busy(None, self.clock())


@dataclass
class _Call:
    """The requests of one call of `run`.

    Attributes:
        sent: those that were begun and are not answered, by number. waiting: of them, those whose
            worker died.
    """

    number: int
    requests: Iterator[bytes]
    sent: dict[int, bytes] = field(default_factory=dict)
    waiting: deque[int] = field(default_factory=deque)
    _answers: dict[int, bytes] = field(default_factory=dict)
    _begun: int = 0
    _given: int = 0
    _all: bool = False

    @property
    def done(self) -> bool:
        """Whether all was asked, answered and given."""
        return self._all and self._given == self._begun

    def next(self) -> int | None:
        """The number of a request that nobody is at; None: there is none."""
        if self.waiting:
            return self.waiting.popleft()
        request = None if self._all else next(self.requests, None)
        if request is None:
            self._all = True
            return None
        self._begun += 1
        self.sent[self._begun - 1] = request
        return self._begun - 1

    def answer(self, number: int, answer: bytes) -> None:
        """The first answer counts; another is the same."""
        if number in self.sent:
            del self.sent[number]
            self._answers[number] = answer
            if number in self.waiting:
                self.waiting.remove(number)

    def in_order(self) -> Iterator[bytes]:
        """Those that are next."""
        while self._given in self._answers:
            answer = self._answers.pop(self._given)
            self._given += 1
            yield answer
