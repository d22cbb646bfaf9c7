"""Where cells leave what they found: a folder, or anything that fsspec knows, such as s3://."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from bitcliff.errors import InputError
from bitcliff.record import make_folder, write_bytes_atomic
from bitcliff.record.files import one_line
from bitcliff.sweep.cell import CellOutcome

OUTCOME = "cell.json"
RUN = "run"
# Only needed to go on with a training, and large.
_LEFT_BEHIND = ("checkpoints",)


class Store:
    """Cells' folders below one place; a cell is done when its outcome is there, written last.

    Args:
        root: a path, or a URL as fsspec takes them.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self.local = None if "://" in root else Path(root)
        self._files: Any = None
        if self.local is None:
            from bitcliff.adapters.optional import require  # with torch, which workers do without

            fsspec: Any = require("fsspec.core", "ray", root)
            with _told(root):
                # No memory of what was there: other machines write into it too.
                self._files, self._base = fsspec.url_to_fs(self.root, use_listings_cache=False)

    def read(self, key: str) -> bytes | None:
        """What is there under that name; None: nothing is.

        Raises:
            InputError: it cannot be reached.
        """
        try:
            if self.local is not None:
                return (self.local / key).read_bytes()
            with _told(self.root):
                return bytes(self._files.cat_file(f"{self._base}/{key}"))
        except FileNotFoundError:
            return None

    def write(self, key: str, data: bytes) -> None:
        """Put it there, whole or not at all.

        Raises:
            InputError: it cannot be written: full, read-only or out of reach.
        """
        if self.local is not None:
            make_folder((self.local / key).parent)
            write_bytes_atomic(self.local / key, data)
            return
        try:
            with _told(self.root):
                self._files.pipe_file(f"{self._base}/{key}", data)
        except FileNotFoundError as error:
            raise InputError(f"{self.root}: the storage fails: there is no such place") from error

    def remove(self, key: str) -> None:
        """Take it away, where it is there."""
        try:
            if self.local is not None:
                (self.local / key).unlink()
            else:
                with _told(self.root):
                    self._files.rm_file(f"{self._base}/{key}")
        except FileNotFoundError:
            pass

    def check(self) -> None:
        """See that it can be written to, before anything starts.

        Raises:
            InputError: it cannot.
        """
        key = f".writable-{os.getpid()}"
        self.write(key, b"1")
        self.remove(key)

    def outcome(self, cell: str) -> CellOutcome | None:
        """What came of a cell; None where it has not ended."""
        data = self.read(f"{cell}/{OUTCOME}")
        if data is None:
            return None
        try:
            return CellOutcome.of(data)
        except ValueError as error:
            raise InputError(f"{self.root}/{cell}/{OUTCOME}: damaged; delete it") from error

    def finish(self, cell: str, outcome: CellOutcome) -> None:
        """Say what came of a cell; what it found is there by now."""
        self.write(f"{cell}/{OUTCOME}", outcome.text.encode())

    def upload(self, folder: Path, cell: str) -> None:
        """Put all files of a folder below a cell's."""
        for file in sorted(folder.rglob("*")):
            key = PurePosixPath(file.relative_to(folder).as_posix())
            if file.is_file() and not set(key.parts) & {*_LEFT_BEHIND}:
                self.write(f"{cell}/{key}", file.read_bytes())

    def fetch(self, key: str, file: Path) -> None:
        """Write what is there under that name to a file of this machine.

        Raises:
            InputError: there is nothing.
        """
        data = self.read(key)
        if data is None:
            raise InputError(f"{self.root}/{key}: is not there")
        write_bytes_atomic(file, data)


@contextmanager
def _told(root: str) -> Iterator[None]:
    """Each kind of storage has errors of its own; they become one line."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{root}: the storage fails: {one_line(reason)}") from error
