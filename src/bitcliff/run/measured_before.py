"""What a killed assessment has measured, so that the same command goes on from there."""

from collections.abc import Callable

from bitcliff.questions.least_widths.record import CutObserved
from bitcliff.record import Measured
from bitcliff.run.partial import Partial


class MeasuredBefore:
    """Measured policies by name, written after each one, so that a killed run goes on from there.

    Those of another configuration are not used: it covers settings, weights, data, what the network
    computes in float, versions and thread count.
    """

    def __init__(self, partial: Partial) -> None:
        self._partial, self.started = partial, partial.started

    def get(self, name: str) -> Measured | None:
        """What was measured under this name, if anything."""
        return self._partial.get_as(name, Measured.model_validate)

    def put(self, measured: Measured) -> None:
        """Keep it, on disk at once."""
        self._partial.put(measured.name, measured.model_dump())

    def cut(self, name: str, make: Callable[[], CutObserved]) -> CutObserved:
        """What was found under this name of a worst case with fewer options, or is found now."""
        found = self._partial.get_as(name, CutObserved.model_validate)
        if found is None:
            found = make()
            self._partial.put(name, found.model_dump())
        return found
