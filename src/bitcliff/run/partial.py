"""What an interrupted run has done, so that the same command goes on from there."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from bitcliff.record import append_json_line, read_json_lines, write_text_atomic
from bitcliff.record.provenance import now

Kind = TypeVar("Kind")


def fingerprint(config: Any) -> str:
    """SHA-256 of a configuration, as JSON holds it; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


class Partial:
    """JSON values by key, in one file of the run folder.

    The file's first line has the fingerprint of the configuration and when the run began; each
    other line has a key and its value. A value is appended, so that keeping one costs as much
    after many as at first, and is on disk when `put` returns. A kill tears the last line at most.
    What is torn or damaged is not used, nor is what follows it, and nothing is used where the
    configuration is another.

    Attributes:
        started: when the run first began, UTC, ISO 8601. resumed: how many values an earlier,
            interrupted run has left.
    """

    def __init__(self, path: Path, config: Any, began: str | None = None) -> None:
        """Take up what the file holds, or begin it anew.

        Args:
            began: when the command began, UTC, ISO 8601; None: now.

        Raises:
            InputError: the file cannot be written.
        """
        self._path = path
        mark = fingerprint(config)
        self.started, self._values = began or now(), dict[str, Any]()
        match read_json_lines(path):
            case [{"fingerprint": found, "started": str(started)}, *entries] if found == mark:
                self.started, self._values = started, _by_key(entries)
        self.resumed: int = len(self._values)
        # Written anew also when taken up: nothing must be appended to a torn line.
        head = {"fingerprint": mark, "started": self.started}
        lines = [head, *(_entry(key, value) for key, value in self._values.items())]
        write_text_atomic(path, "".join(json.dumps(line) + "\n" for line in lines))

    def get(self, key: str) -> Any | None:
        """What was put under this key, if anything."""
        return self._values.get(key)

    def get_as(self, key: str, read: Callable[[Any], Kind]) -> Kind | None:
        """What `read` makes of it; None also where that is a ValueError."""
        value = self.get(key)
        try:
            return None if value is None else read(value)
        except ValueError:
            return None

    def put(self, key: str, value: Any) -> None:
        """Keep a value that JSON can hold, on disk at once; a later one takes its place.

        Raises:
            InputError: the file cannot be written; what was put before is still there.
        """
        append_json_line(self._path, _entry(key, value))
        self._values[key] = value

    def clear(self) -> None:
        """The run has ended: nothing to take up again."""
        self._path.unlink(missing_ok=True)


def _entry(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}


def _by_key(entries: list[Any]) -> dict[str, Any]:
    """The values up to the first line that is none of ours."""
    values = {}
    for entry in entries:
        match entry:
            case {"key": str(key), "value": value}:
                values[key] = value
            case _:
                break
    return values
