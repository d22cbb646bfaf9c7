"""Sharing out under delays and deaths: workers whose every step a seed decides."""

import heapq
import itertools
import random
from collections.abc import Sequence

import pytest

from bitcliff.audit.batches import packed
from bitcliff.errors import InputError
from bitcliff.sweep.shards.farm import Farm

READY = packed({"ready": True}, {})
GREETING = b"greeting"


def answer_to(request: bytes) -> bytes:
    return packed({"answer": request.decode()}, {})


class Simulated:
    """Workers in simulated time: how long each takes, and when it dies, is drawn."""

    def __init__(
        self, seed: int = 0, dying: float = 0.0, hanging: float = 0.0, takes: float = 1.0
    ) -> None:
        self.dice, self.dying, self.hanging, self.takes = random.Random(seed), dying, hanging, takes
        self.now, self.ran, self.deaths = 0.0, list[bytes](), 0
        self.numbers, self.events = itertools.count(), list[tuple[float, int, bytes | str]]()
        self.at = dict[int, bool]()

    def start(self, greeting: bytes) -> int:
        number = next(self.numbers)
        self.at[number] = False
        self.ask(number, greeting)
        return number

    def ask(self, worker: int, request: bytes) -> None:
        assert not self.at[worker]  # one at a time
        self.at[worker] = True
        if self.dice.random() < self.hanging and request != GREETING:
            return
        until = self.now + self.takes * self.dice.uniform(0.5, 1.5)
        dies = self.dice.random() < self.dying
        answer = "SIGKILL" if dies else READY if request == GREETING else answer_to(request)
        if request != GREETING:
            self.ran.append(request)
        heapq.heappush(self.events, (until, worker, answer))

    def wait(self, patience: float) -> Sequence[tuple[int, bytes | str]]:
        if not self.events or self.events[0][0] > self.now + patience:
            self.now += patience
            return []
        until, worker, answer = heapq.heappop(self.events)
        self.now, self.at[worker] = max(self.now, until), False
        self.deaths += isinstance(answer, str)
        return [(worker, answer)]

    def stop(self) -> None:
        pass


def farm_of(workers: Simulated, count: int) -> Farm:
    farm = Farm(workers, GREETING, count, clock=lambda: workers.now)
    farm.open()
    return farm


def requests(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 64])
@pytest.mark.parametrize("dying", [0.0, 0.05])
def test_every_request_is_answered_once_and_in_order(count: int, dying: float) -> None:
    deaths = 0
    for seed in range(20):
        workers = Simulated(seed, dying)
        farm = farm_of(workers, count)
        for size in (0, 1, 7, 40):  # several calls, as a search makes them
            asked = requests(size)
            assert list(farm.run(asked)) == [answer_to(one) for one in asked]
        if not dying:
            assert farm.again == 0
            assert len(workers.ran) == 48
        deaths += workers.deaths
    assert (deaths > 20) == (dying > 0)


def test_what_hangs_is_done_again_by_another() -> None:
    again = 0
    for seed in range(20):
        # A worker that hangs is lost for good: with too many, none would be left.
        workers = Simulated(seed, 0.0, 0.02)
        farm = farm_of(workers, 16)
        for _ in range(4):
            assert list(farm.run(requests(30))) == [answer_to(one) for one in requests(30)]
        again += farm.again
    assert again > 10


def test_workers_share_the_work() -> None:
    """64 workers take about a 64th of the time, but for the last that all wait for."""
    took = {}
    for count in (1, 64):
        workers = Simulated(1)
        farm = farm_of(workers, count)
        list(farm.run(requests(6400)))
        took[count] = workers.now
    assert 50 < took[1] / took[64] < 64


def test_requests_are_made_when_there_is_somebody_to_send_them_to() -> None:
    made = 0

    def counted() -> bytes:
        nonlocal made
        made += 1
        return b"x"

    workers = Simulated()
    farm = farm_of(workers, 2)
    answers = farm.run(counted() for _ in range(1000))
    next(answers)
    assert made < 10


def test_what_kills_workers_ends_the_run_in_a_line() -> None:
    farm = farm_of(Simulated(0, 1.0), 2)
    with pytest.raises(InputError, match="3 workers died getting ready, the last by SIGKILL; if"):
        list(farm.run(requests(1)))

    class Poisoned(Simulated):
        def wait(self, patience: float) -> Sequence[tuple[int, bytes | str]]:
            return [
                (worker, "SIGKILL" if answer == answer_to(b"2") else answer)
                for worker, answer in super().wait(patience)
            ]

    farm = farm_of(Poisoned(), 2)
    with pytest.raises(InputError, match="3 workers died at the same batch"):
        list(farm.run(requests(5)))


def test_what_a_worker_says_ends_the_run() -> None:
    class Failing(Simulated):
        def wait(self, patience: float) -> Sequence[tuple[int, bytes | str]]:
            told = packed({"error": "a worker prepares another run"}, {})
            return [(worker, told) for worker, _ in super().wait(patience)]

    farm = farm_of(Failing(), 1)
    with pytest.raises(InputError, match="a worker prepares another run"):
        list(farm.run(requests(1)))
