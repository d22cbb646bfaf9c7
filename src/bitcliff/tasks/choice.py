"""What `--task` says."""

import math

from bitcliff.errors import InputError, nearest
from bitcliff.tasks.classification import Classification
from bitcliff.tasks.next_token import NextToken
from bitcliff.tasks.protocol import Task
from bitcliff.tasks.threshold import Threshold

_PLAIN: dict[str, Task] = {one.name: one for one in (Classification(), NextToken())}
_NAMES = (*_PLAIN, "threshold")


def read_task(text: str) -> Task:
    """A task by its name, and after a colon what it is told.

    Raises:
        InputError: there is none; or a threshold is no number.
    """
    if text in _PLAIN:
        return _PLAIN[text]
    name, colon, told = text.partition(":")
    if name != "threshold":
        what = "takes nothing after a colon" if name in _PLAIN else "is not known"
        raise InputError(
            f"--task {text}: {what}{nearest(name, _NAMES)}; give {', '.join(_PLAIN)}, threshold "
            "or threshold:NUMBER"
        )
    if not colon:
        return Threshold()
    try:
        at = float(told)
    except ValueError:
        at = math.nan
    if not math.isfinite(at):
        raise InputError(f"--task {text}: must be a number after the colon, such as threshold:0.5")
    return Threshold(at)
