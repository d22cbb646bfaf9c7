"""Sets of inputs, around an example or of another set of data, as `--within` names them."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from bitcliff.errors import InputError, nearest

WithinKind = Literal["linf", "l2", "patch", "corruption", "audio", "text", "prefix", "data"]
KINDS: tuple[WithinKind, ...] = get_args(WithinKind)
# What all inputs can have alike.
UNIVERSAL: tuple[WithinKind, ...] = ("patch", "linf", "l2", "prefix")

_WHOLE = ("patch", "text", "prefix")
_MOST = {"linf": 1.0, "corruption": 5.0, "audio": 5.0}
_RATES = range(1_000, 1_000_001)
_ACCEPTED = "give linf:8/255, l2:0.5, patch:8, corruption:3, audio:3, text:2 or data:DIR"


@dataclass(frozen=True)
class Within:
    """A set around each example, or other examples.

    Attributes:
        name: as it was given. kind: of the set.
        size: "linf", "l2": the norm of the change, black to white being 1. "patch": pixels a side.
            "corruption", "audio": the highest degree. "text": words that may differ. "prefix":
            words in front. "data": nothing, and what follows in the name is the data.
        rate: of "audio", samples a second; None: it is the model's to say.
    """

    name: str
    kind: WithinKind
    size: float
    rate: int | None = None

    @property
    def words(self) -> str:
        """What it holds, for people."""
        size = f"{self.size:g}"
        return {
            "linf": f"each value changed by at most {self.name.partition(':')[2]}",
            "l2": f"changes whose squares sum to at most {size}²",
            "patch": f"a square of {size} × {size} pixels changed at will",
            "prefix": f"{size} {'word' if size == '1' else 'words'} put before the text",
            "corruption": f"corruptions together, each of degree {size} at most",
            "audio": f"reverberation, noise, gain and resampling, each of degree {size} at most",
            "data": f"inputs of {self.data}, those first that float's pass tells most of",
            "text": f"at most {size} {'word' if size == '1' else 'words'} swapped for a like one",
        }[self.kind]

    @property
    def data(self) -> str:
        """Other data, as `--data` names them; empty of a set around each example."""
        return self.name.partition(":")[2] if self.kind == "data" else ""


def read_within(text: str) -> Within:
    """What `--within` gives.

    Raises:
        InputError: it names no set, or an empty one.
    """
    kind, _, given = text.partition(":")
    known = next((one for one in KINDS if one == kind), None)
    if known is None:
        hint = nearest(kind, KINDS)
        raise InputError(f"--within {text}: no such set{hint}; {_ACCEPTED}")
    if known == "data":
        if not given:
            raise InputError(f"--within {text}: names no data; {_ACCEPTED}")
        return Within(text, known, 0.0)
    rate = None
    if known == "audio":
        given, at, said = given.partition("@")
        rate = int(said) if said.isdecimal() else None
        if at and rate not in _RATES:
            raise InputError(
                f"--within {text}: {said!r} is no sampling rate; give it in Hz, as audio:3@16000"
            )
    try:
        above, _, below = given.partition("/")
        size = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"--within {text}: {given!r} is no number; {_ACCEPTED}") from error
    if not math.isfinite(size):
        raise InputError(f"--within {text}: {given!r} is no number; {_ACCEPTED}")
    if not size > 0:
        raise InputError(f"--within {text}: the set is empty: the size must be above 0")
    if known in _WHOLE and size != int(size):
        raise InputError(f"--within {text}: must be a whole number")
    if size > _MOST.get(known, size):
        raise InputError(f"--within {text}: must be {_MOST[known]:g} or less")
    return Within(text, known, size, rate)
