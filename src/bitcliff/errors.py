"""The errors Bitcliff raises on purpose; the command line makes each one line and exit code 2."""

import difflib
from collections.abc import Iterable


class BitcliffError(Exception):
    """Base of all: its text is one line that a user can act on."""


class InputError(BitcliffError):
    """A file, option or argument is wrong; the text names it and says what would be right."""


class PlanError(InputError):
    """What a plan asks for cannot be; whoever read its file puts that before the text."""


class NothingQuantized(InputError):
    """A runtime leaves all of a network in float; the text says what it is made of."""


class InfeasibleBudget(InputError, ValueError):
    """No allocation meets the total; the text says which totals do."""


class NumericError(BitcliffError, ValueError):
    """A NaN or infinity where a number is needed; the text says where."""


class MissingExtra(InputError, ImportError):
    """An optional package is not installed; the text says which extra brings it."""


def nearest(word: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?" with up to three known words close to `word`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"; did you mean {', '.join(close)}?" if close else ""
