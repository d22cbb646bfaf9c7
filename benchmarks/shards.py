"""What one audit on many workers costs its driver, and from how many workers on that is the limit.

An audit is run in this process, every batch sent as bytes to a worker that is this process too, and
the processor time of each part noted. Then the same calls are replayed for so many workers, and for
as many examples as are asked for: each call waits for its last batch, as a search does.
"""

import argparse
import heapq
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bitcliff.audit import AssessSettings
from bitcliff.audit.batches import Ask, Elsewhere, Part
from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.prepare import Prepared
from bitcliff.audit.schedule import Schedule
from bitcliff.points import take
from bitcliff.run.assess_job import AssessJob, Listener, prepared_job
from bitcliff.sweep.shards.farm import Farm
from bitcliff.sweep.shards.open import on_processes

QUIET = Listener(lambda _text: None, lambda _plan: None, lambda *_step: None)
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass
class Batch:
    """Seconds of the driver, of the worker, of the driver again."""

    send: float
    work: float
    receive: float


@dataclass
class Call:
    """What the driver did before, and the batches."""

    before: float
    batches: list[Batch] = field(default_factory=list)


class Traced:
    """Runs batches as a worker would, and notes what each took."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator, self.calls, self.last = evaluator, list[Call](), time.process_time()

    def run(self, asks: Iterable[Ask]) -> Iterator[Part]:
        call = Call(time.process_time() - self.last)
        self.calls.append(call)
        began = time.process_time()
        for ask in asks:
            data = ask.to_bytes()
            sent = time.process_time()
            answer = self._answer(Ask.of_bytes(data))
            worked = time.process_time()
            yield Part.of_bytes(answer)
            ended = time.process_time()  # what the driver makes of it is its work too
            call.batches.append(Batch(sent - began, worked - sent, ended - worked))
            began = ended
        self.last = time.process_time()

    def _answer(self, ask: Ask) -> bytes:
        nudge, inputs = ask.under.nudge, self.evaluator.inputs
        if nudge is not None:
            inputs = self.evaluator.nudged_inputs(nudge)
        return self.evaluator.part(ask, take(inputs, ask.places)).to_bytes()


def replayed(calls: Iterable[Call], workers: int, more: float, latency: float) -> float:
    """Seconds until the last call ends, with `more` times as many examples."""
    return sum(more * call.before + _makespan(call, workers, more, latency) for call in calls)


def _makespan(call: Call, workers: int, more: float, latency: float) -> float:
    count = max(1, round(more * len(call.batches)))
    batches = itertools.islice(itertools.cycle(call.batches), count)
    now, running = 0.0, list[tuple[float, float]]()
    for batch in batches:
        if len(running) == workers:
            ends, receive = heapq.heappop(running)
            now = max(now, ends) + receive
        now += batch.send
        heapq.heappush(running, (now + latency + batch.work, batch.receive))
    for ends, receive in sorted(running):
        now = max(now, ends) + receive
    return now


def really(prepared: Prepared, config: dict[str, Any], count: int) -> float:
    """Seconds of the clock for the same with so many processes, once they are ready; 0: none."""
    evaluator, farms = prepared.evaluator, list[Farm]()
    with on_processes(count, farms.append)(config) if count else nullcontext() as run:
        if run is not None:
            evaluator.elsewhere = Elsewhere(evaluator.attachment, evaluator.inputs, run)
            while farms[0].ready < count:
                evaluator.float_scores(prepared.everyone[:1])
                time.sleep(0.5)
        began = time.monotonic()
        Schedule(prepared).run()
        took = time.monotonic() - began
    evaluator.elsewhere = None
    return took


def main() -> None:
    """Print processor time by whom, then times and speed-ups by the number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="brittle-digits")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--examples", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--budget", type=float, default=5.5)
    parser.add_argument("--exchanges", type=int, default=10)
    parser.add_argument("--as-many-as", type=int, default=50_000)
    parser.add_argument("--latency", type=float, default=0.001, help="Seconds to and fro.")
    parser.add_argument("--rounds", type=int, default=0, help="Of real runs, alternated.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = AssessSettings(
        budgets=(options.budget,), uniform=(8,), rounds=2, evaluations=8, draws=2,
        exchanges=options.exchanges, batch_size=options.batch,
    )  # fmt: skip
    names = options.model, options.data, Path("unused"), ""
    job = AssessJob(*names, limit=options.examples, settings=settings)
    _, prepared, config = prepared_job(job, QUIET)
    evaluator, n = prepared.evaluator, len(prepared.examples)
    traced = Traced(evaluator)
    evaluator.elsewhere = Elsewhere(evaluator.attachment, evaluator.inputs, traced.run)
    traced.last = time.process_time()
    Schedule(prepared).run()
    calls = traced.calls
    batches = [batch for call in calls for batch in call.batches]
    work, messages = (
        sum(one.work for one in batches), sum(one.send + one.receive for one in batches),
    )  # fmt: skip
    search = sum(call.before for call in calls)
    mine, points = messages + search, len(prepared.points)
    print(f"{n} examples, {points} points, {len(calls)} calls, {len(batches)} batches")
    print(
        f"processor seconds: workers {work:.1f}, driver's messages {messages:.2f}, its search "
        f"{search:.2f}: {100 * mine / (work + mine):.1f} % is the driver's, so at most "
        f"{(work + mine) / mine:.0f} times"
    )
    more = options.as_many_as / n
    alone = replayed(calls, 1, more, 0.0)
    for workers in WORKERS:
        took = replayed(calls, workers, more, options.latency)
        print(f"{workers:4} workers, {options.as_many_as} examples: {alone / took:6.1f} times")
    evaluator.elsewhere = None
    for number in range(options.rounds):
        alone, one, two = (really(prepared, config, count) for count in (0, 1, 2))
        print(
            f"round {number + 1}: alone {alone:.1f} s, 1 process {alone / one:.2f} times as fast, "
            f"2 processes {alone / two:.2f} times (load {os.getloadavg()[0]:.0f})"
        )


if __name__ == "__main__":
    main()
