"""`--task py:package.module:factory`: a task that the user's own code makes."""

from bitcliff.adapters.user_code import called, find_object
from bitcliff.errors import InputError
from bitcliff.tasks import Task
from bitcliff.tasks.against_float import Comparison
from bitcliff.tasks.choice import read_task

_OWN = "py:"


def is_own_task(text: str | None) -> bool:
    """Whether `--task` names the user's own code."""
    return text is not None and text.startswith(_OWN)


def load_task(text: str) -> Task | Comparison:
    """As `--task` says, of Bitcliff's or of the user's own, whose code is run.

    Args:
        text: a name of Bitcliff's, or "py:package.module:factory"; the factory is a callable
            without arguments that gives a task, or a task itself.

    Raises:
        InputError: not found, raises, or gives something else.
    """
    if not is_own_task(text):
        return read_task(text)
    spec = f"--task {text}"
    found = find_object(text.removeprefix(_OWN), spec)
    if isinstance(found, type) or not isinstance(found, Task | Comparison):
        if not callable(found):
            raise InputError(f"{spec}: is a {type(found).__name__}, not a task or what makes one")
        found = called(found, "it", spec)
    if not isinstance(found, Task | Comparison):
        raise InputError(
            f"{spec}: gave {type(found).__name__}, not a task with name, words, decisions, scores "
            "and scores_before"
        )
    return found
