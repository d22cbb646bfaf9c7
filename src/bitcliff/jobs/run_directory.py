"""The folder a run writes into, and what of an interrupted run can be used again."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bitcliff.assess.measured import Measured
from bitcliff.errors import InputError
from bitcliff.records import write_text_atomic

CONFIG, PARTIAL = "config.json", "partial.json"


class _Partial(BaseModel):
    """Policies measured by a run that has not ended, and the configuration they belong to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    measured: list[Measured]


def open_run(directory: Path) -> None:
    """Make the folder, or accept one that a run has written before.

    Raises:
        InputError: it cannot be made, or holds something that is not a run.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        taken = any(directory.iterdir()) and not (directory / CONFIG).exists()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"--out {directory}: the folder cannot be made: {reason}") from error
    if taken:
        raise InputError(f"--out {directory}: the folder is not empty and holds no run; name another")


class PartialResults:
    """Measured policies, written after each one, so that a killed run goes on from there.

    Results of another configuration are not used: the fingerprint covers settings, weights, data,
    versions and thread count.
    """

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self._path = directory / PARTIAL
        text = json.dumps(config, sort_keys=True)
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()
        self._measured = {measured.name: measured for measured in self._read()}

    @property
    def resumed(self) -> int:
        """How many policies an earlier, interrupted run has left."""
        return len(self._measured)

    def get(self, name: str) -> Measured | None:
        """What was measured under this name, if anything."""
        return self._measured.get(name)

    def put(self, measured: Measured) -> None:
        """Keep it, on disk at once."""
        self._measured[measured.name] = measured
        partial = _Partial(fingerprint=self._fingerprint, measured=list(self._measured.values()))
        write_text_atomic(self._path, partial.model_dump_json())

    def clear(self) -> None:
        """The run has ended: nothing to take up again."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> list[Measured]:
        try:
            partial = _Partial.model_validate_json(self._path.read_text())
        except (OSError, UnicodeDecodeError, ValidationError):
            return []
        return partial.measured if partial.fingerprint == self._fingerprint else []
