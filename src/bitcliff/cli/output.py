"""Writing to a reader that may leave early, as `head` does: an exit code must not hang on that."""

import contextlib
import os
import sys
from collections.abc import Iterator

import click


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """What is still to be written goes nowhere once nobody reads it."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()


def print_json(text: str) -> None:
    """On stdout, as bytes: a JSON text is UTF-8 whatever the terminal's encoding."""
    click.echo(text.encode("utf-8", "backslashreplace"), nl=False)


def discard_stdout() -> None:
    """Also what Python flushes at the very end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
