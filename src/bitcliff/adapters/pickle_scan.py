"""Reads what a pickle would do without doing any of it, to say why it is refused."""

import pickletools
from dataclasses import dataclass

# What a state dict needs; torch.load(weights_only=True) allows these and little else.
_HARMLESS = {"torch", "torch._utils", "torch.storage", "torch.serialization", "torch._tensor"}


@dataclass(frozen=True)
class PickleScan:
    """The names a pickle refers to.

    Attributes:
        foreign: dotted names of what it would call and a state dict has no use for.
        whole_module: it holds an nn.Module itself, not a module's state dict.
    """

    foreign: tuple[str, ...]
    whole_module: bool


def scan_pickles(data: bytes) -> PickleScan:
    """Walks the pickles that `data` starts with (old .pth files hold several in a row)."""
    names: list[str] = []
    strings: set[str] = set()
    start = 0
    while 0 <= start < len(data):
        start = _walk(data, start, names, strings)
    foreign = [
        name
        for name in dict.fromkeys(names)
        if name.rpartition(".")[0] not in _HARMLESS and name != "collections.OrderedDict"
    ]
    whole = {"_modules", "_parameters"} <= strings
    return PickleScan(tuple(foreign), bool(foreign) and whole)


def _walk(data: bytes, start: int, names: list[str], strings: set[str]) -> int:
    """One pickle: collects its names and strings, returns where the next begins, or -1."""
    memo: dict[int, str] = {}
    recent: list[str] = []  # protocol 4 pushes module and name as strings before STACK_GLOBAL
    try:
        for op, arg, at in pickletools.genops(data[start:]):
            if op.name in ("GLOBAL", "INST"):
                names.append(str(arg).replace(" ", "."))
            elif op.name == "STACK_GLOBAL":
                names.append(".".join(recent[-2:]))
            elif op.name in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
                memo[len(memo) if arg is None else int(arg)] = recent[-1] if recent else "?"
            elif op.name in ("BINGET", "LONG_BINGET", "GET"):
                recent.append(memo.get(int(str(arg)), "?"))
            elif isinstance(arg, str):
                recent.append(arg)
                strings.add(arg)
            elif op.name == "STOP":
                return start + (at or 0) + 1
    except Exception:  # noqa: BLE001 - anything may come of broken bytes; what was seen still counts
        return -1
    return -1
