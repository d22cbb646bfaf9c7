"""Audits that are run on workers, and their records but for the times."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitcliff.audit import AssessSettings
from bitcliff.audit.batches import Ask, Part, Run
from bitcliff.run.assess_job import AssessJob, Listener, run_assess
from bitcliff.run.shared_out import Workers, here
from bitcliff.sweep.shards.worker import Worker, failure_in, greeting

# Every kind of pass: bits by search and at random, a static one, nudges, formats that share scales.
DIGITS = AssessSettings(
    budgets=(5.5,), uniform=(4, 6), rounds=2, exchanges=3, evaluations=4, draws=2, batch_size=8,
    numerics=("ort-uint8",),
)  # fmt: skip
SMALL = AssessSettings(
    budgets=(5.5,), uniform=(5,), rounds=1, exchanges=2, evaluations=0, draws=2, batch_size=4,
)  # fmt: skip
MIXED = AssessSettings(
    options=("ort-uint8", "vllm-int8-token"), budgets=(8.0,), rounds=2, exchanges=2, draws=2,
    batch_size=8,
)  # fmt: skip


def job(out: Path, settings: AssessSettings = DIGITS, limit: int = 20) -> AssessJob:
    return AssessJob(
        "brittle-digits", "digits", out, "bitcliff ...", limit=limit, settings=settings
    )


def record(
    asked: AssessJob, workers: Workers = here, on_progress: Callable[[int, int], None] | None = None
) -> str:
    """The record's text, its times left out."""

    def progress(_name: str, done: int, whole: int) -> None:
        if on_progress is not None:
            on_progress(done, whole)

    run_assess(asked, Listener(lambda _text: None, lambda _plan: None, progress), workers)
    fields: dict[str, Any] = json.loads((asked.out / "record.json").read_text())
    for time in ("started", "finished"):
        assert fields["provenance"].pop(time)
    return json.dumps(fields)


class Once:
    """Does something the first time that half of the work is done."""

    def __init__(self, what: Callable[[], None]) -> None:
        self._what, self.done = what, False

    def __call__(self, done: int, whole: int) -> None:
        if not self.done and 2 * done > whole:
            self.done = True
            self._what()


def signal_one(number: signal.Signals) -> None:
    """To one of the workers on this machine."""
    child = multiprocessing.active_children()[0]
    assert child.pid is not None
    os.kill(child.pid, number)


@contextmanager
def by_bytes(config: dict[str, Any]) -> Iterator[Run]:
    """A worker that is in this process: all that it knows came to it as bytes."""
    worker = Worker()
    assert failure_in(worker.answer(greeting(json.loads(json.dumps(config))))) is None

    def run(asks: Iterable[Ask]) -> Iterator[Part]:
        for ask in asks:
            answer = worker.answer(ask.to_bytes())
            assert failure_in(answer) is None, failure_in(answer)
            yield Part.of_bytes(answer)

    yield run
