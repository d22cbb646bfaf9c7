"""Workers as processes of this machine."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from bitcliff.sweep.shards.worker import Worker

# Seconds to end by themselves once the line is cut.
_TO_END = 5.0


class Processes:
    """See `farm.Workers`. They end when this process does, however it does."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._lines: dict[int, Connection] = {}
        self._children: dict[int, BaseProcess] = {}

    def start(self, greeting: bytes) -> int:
        """See `farm.Workers`."""
        context = multiprocessing.get_context("spawn")  # a fork would copy locks of torch's threads
        mine, theirs = context.Pipe()
        child = context.Process(target=serve, args=(theirs,), daemon=True)
        child.start()
        theirs.close()
        number = next(self._numbers)
        self._lines[number], self._children[number] = mine, child
        self.ask(number, greeting)
        return number

    def ask(self, worker: int, request: bytes) -> None:
        """See `farm.Workers`."""
        with contextlib.suppress(OSError):  # it has died, which `wait` tells
            self._lines[worker].send_bytes(request)

    def wait(self, patience: float) -> Sequence[tuple[int, bytes | str]]:
        """See `farm.Workers`."""
        numbers = {line: number for number, line in self._lines.items()}
        found = list[tuple[int, bytes | str]]()
        for line in wait(list(numbers), patience):
            assert isinstance(line, Connection)  # noqa: S101  (as it was given)
            number = numbers[line]
            try:
                found.append((number, line.recv_bytes()))
            except (EOFError, OSError):
                code = self._end(number)
                how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                found.append((number, how))
        return found

    def stop(self) -> None:
        """See `farm.Workers`."""
        for child in self._children.values():
            child.terminate()  # what it is at is not wanted any more
        for number in list(self._lines):
            self._end(number)

    def _end(self, number: int) -> int:
        """Its exit code, negative where a signal ended it."""
        self._lines.pop(number).close()
        child = self._children.pop(number)
        child.join(_TO_END)
        if child.is_alive():
            child.kill()
            child.join()
        return child.exitcode or 0


def serve(line: Connection) -> None:
    """What a worker's process does: answers until the line is cut."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the driver's stdout is its answer's alone
    worker = Worker()
    with contextlib.suppress(EOFError, OSError):
        while True:
            line.send_bytes(worker.answer(line.recv_bytes()))
