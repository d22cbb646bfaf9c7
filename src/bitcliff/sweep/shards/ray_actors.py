"""Workers as actors of a Ray cluster: bytes go there, bytes come back."""

import itertools
from collections.abc import Sequence
from typing import Any

from bitcliff.record.files import one_line
from bitcliff.sweep.shards.worker import Worker


class RayActors:
    """See `farm.Workers`.

    Args:
        ray: the module, connected. cpus: that each takes.
    """

    def __init__(self, ray: Any, cpus: float = 1) -> None:
        self._ray = ray
        # An actor that is lost is begun anew here: it must be told again what to prepare.
        self._kind = ray.remote(num_cpus=cpus, max_restarts=0)(Worker)
        self._numbers = itertools.count()
        self._actors: dict[int, Any] = {}
        self._asked: dict[Any, int] = {}

    def start(self, greeting: bytes) -> int:
        """See `farm.Workers`."""
        number = next(self._numbers)
        self._actors[number] = self._kind.remote()
        self.ask(number, greeting)
        return number

    def ask(self, worker: int, request: bytes) -> None:
        """See `farm.Workers`."""
        self._asked[self._actors[worker].answer.remote(request)] = worker

    def wait(self, patience: float) -> Sequence[tuple[int, bytes | str]]:
        """See `farm.Workers`."""
        refs = list(self._asked)
        done, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        if not done:
            done, _ = self._ray.wait(refs, num_returns=1, timeout=patience)
        return [(self._asked.pop(ref), self._answer(ref)) for ref in done]

    def _answer(self, ref: Any) -> bytes | str:
        try:
            return bytes(self._ray.get(ref))
        except self._ray.exceptions.RayError as error:  # its process or its machine is gone
            return one_line(" ".join(str(error).split()) or type(error).__name__)

    def stop(self) -> None:
        """See `farm.Workers`."""
        for actor in self._actors.values():
            self._ray.kill(actor)
