"""Checks of what the functions of this room are given."""

from numbers import Integral

from bitcliff.errors import InputError


def check_count(name: str, value: object) -> int:
    """`value` as an int if it is whole (a bool is not) and at least 0, else InputError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise InputError(f"{name}: must be a whole number, at least 0, got {value!r}")
    return int(value)


def check_share(k: object, n: object) -> tuple[int, int]:
    """k and n as ints if both are whole and 0 <= k <= n, else InputError."""
    part, whole = check_count("k", k), check_count("n", n)
    if part > whole:
        raise InputError(f"k: must be at most n = {whole}, got {part}")
    return part, whole


def check_confidence(confidence: float) -> None:
    """InputError unless strictly between 0 and 1."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence: must lie strictly between 0 and 1, got {confidence}")
