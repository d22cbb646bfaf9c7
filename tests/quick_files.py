"""What the tests' own process writes is not waited for until it is on the disk.

That is for a loss of power, which no test causes, and takes a third of the time of a small run.
What is synced, and in which order, tests see as before by the fixture `synced`; processes that
tests start sync as ever.

Importing this switches it on.
"""

import os


def _not_waiting(descriptor: int) -> None:
    os.fstat(descriptor)  # one that is closed is refused, as by `os.fsync`


setattr(os, "fsync", _not_waiting)  # noqa: B010
