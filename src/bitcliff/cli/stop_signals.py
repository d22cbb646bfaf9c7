"""Ctrl-C and SIGTERM, where there is work to be saved first."""

import os
import signal
from types import FrameType


class StopSignals:
    """The first SIGTERM or SIGINT asks for a stop; the second ends the process.

    While there are steps to finish and save, the stop waits for them. Before and after, as in the
    measurement on the test split, nothing would be gained by waiting. Where several processes
    train, all but the first always wait: it is the first that says when they stop.
    """

    def __init__(self, waits: bool) -> None:
        self.received: int | None = None
        self.waits = waits
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
        if not self.waits:
            raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """As a shell has it: 143 for SIGTERM, 130 for SIGINT."""
        return 128 + (self.received or signal.SIGINT)
