"""How `--policy` of a search names what gives each input its bits."""

from typing import Literal

from bitcliff.errors import InputError
from bitcliff.types.scheme import MAX_BITS, MIN_BITS
from bitcliff.types.value import Value

_ACCEPTED = (
    "give uniform:5.5; margin:4,8,1/8 (4 bits, and of eight inputs the least sure again at 8); "
    "co-trained; or the FILE of a policy"
)


class BitsBy(Value):
    """Bits at the quantization points of each input.

    Attributes:
        name: as it was given. kind: of it. bits: of "uniform", in the mean over points, and of the
            first pass of "margin".
            wider: of the second pass of "margin". some, of: in how many of how many inputs there is
            a second pass.
    """

    name: str
    kind: Literal["uniform", "margin", "co-trained", "file"]
    bits: float = 0.0
    wider: int = 0
    some: int = 0
    of: int = 1


def read_bits_by(text: str) -> BitsBy:
    """What `--policy` gives.

    Raises:
        InputError: it is malformed.
    """
    kind, colon, given = text.partition(":")
    if text == "co-trained":
        return BitsBy(name=text, kind="co-trained")
    if not colon or kind not in ("uniform", "margin"):
        if "." not in text and "/" not in text:
            raise InputError(f"--policy {text}: no such policy; {_ACCEPTED}")
        return BitsBy(name=text, kind="file")
    if kind == "uniform":
        return BitsBy(name=text, kind="uniform", bits=_mean(text, given))
    parts = given.split(",")
    numbers = [int(one) if one.isdecimal() else 0 for one in (*parts[:-1], *parts[-1].split("/"))]
    if len(parts) != 3 or len(numbers) != 4 or min(numbers) < 1:
        raise InputError(f"--policy {text}: {given!r} is not understood; {_ACCEPTED}")
    bits, wider, some, of = numbers
    if not MIN_BITS <= bits <= wider <= MAX_BITS:
        raise InputError(f"--policy {text}: widths are {MIN_BITS} to {MAX_BITS} bits")
    if not bits < wider:
        raise InputError(f"--policy {text}: the second pass must be wider than the first")
    if not some < of:
        raise InputError(f"--policy {text}: the share that is run again must be below 1")
    return BitsBy(name=text, kind="margin", bits=bits, wider=wider, some=some, of=of)


def _mean(text: str, given: str) -> float:
    try:
        mean = float(given)
    except ValueError as error:
        raise InputError(f"--policy {text}: {given!r} is not understood; {_ACCEPTED}") from error
    if not MIN_BITS <= mean <= MAX_BITS:
        raise InputError(f"--policy {text}: widths are {MIN_BITS} to {MAX_BITS} bits")
    return mean
