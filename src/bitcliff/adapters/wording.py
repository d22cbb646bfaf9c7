"""Error texts that fit on one line and point at what was meant."""

from collections.abc import Iterable

_LONGEST = 240


def one_line(error: BaseException) -> str:
    """The error's type and message on one line, shortened; no terminal escapes, no line breaks."""
    text = shortened(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def told_of(name: str, error: BaseException) -> str:
    """The error's own message, which begins with the name of what is wrong, once."""
    text = str(error)
    return text if text.startswith(name) else f"{name}: {text}"


def shortened(text: str) -> str:
    """The text on one line of bounded length; no terminal escapes."""
    # Cut first: a server may send megabytes.
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 8 * _LONGEST]).split())
    return text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + "..."


def listed(words: Iterable[str], most: int = 3) -> str:
    """The first few words, and how many more there are."""
    words = list(words)
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
