"""Error texts that fit on one line and point at what was meant."""

import difflib
from collections.abc import Iterable

_LONGEST = 240


def one_line(error: BaseException) -> str:
    """The error's type and message on one line, shortened; no terminal escapes, no line breaks."""
    text = shortened(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shortened(text: str) -> str:
    """The text on one line of bounded length; no terminal escapes."""
    # Cut first: a server may send megabytes.
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 8 * _LONGEST]).split())
    return text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + "..."


def nearest(word: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?" with up to three known words close to `word`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"; did you mean {', '.join(close)}?" if close else ""


def listed(words: Iterable[str], most: int = 3) -> str:
    """The first few words, and how many more there are."""
    words = list(words)
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
