"""Keeping a folder to one process: the system lets go of it when that process ends."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bitcliff.errors import InputError


@contextmanager
def flocked(path: Path, flags: int, refusal: Callable[[int], str]) -> Iterator[int]:
    """Open a file or folder and hold it; yields its descriptor.

    Args:
        flags: of `os.open`. refusal: what to say, from the descriptor, if another process holds it.

    Raises:
        InputError: another process holds it. OSError: it cannot be opened.
    """
    descriptor = os.open(path, flags, 0o666)
    try:
        if os.name == "posix":  # elsewhere there are no such locks
            import fcntl

            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(refusal(descriptor)) from error
        yield descriptor
    finally:
        os.close(descriptor)
